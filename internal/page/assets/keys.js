// Keyboard and pointer.
function focus() {
  const row = rows.get(active);
  if (row) row.focus({ preventScroll: true });
}
function move(to) {
  if (!shown.length) return;
  const i = Math.min(shown.length - 1, Math.max(0, to));
  active = shown[i].name;
  draw();
  const row = rows.get(active), box = row.getBoundingClientRect(), top = 92;
  if (box.top < top) scrollBy(0, box.top - top);
  else if (box.bottom > innerHeight - 8) scrollBy(0, box.bottom - innerHeight + 8);
  draw();
  focus();
}
$("rows").addEventListener("keydown", e => {
  const i = shown.findIndex(t => t.name === active), page = Math.max(1, Math.floor(innerHeight / height) - 3);
  const steps = { ArrowDown: i + 1, ArrowUp: i - 1, PageDown: i + page, PageUp: i - page, Home: 0, End: shown.length - 1 };
  if (e.altKey || e.ctrlKey || e.metaKey) return;
  if (e.key in steps) { e.preventDefault(); move(steps[e.key]); }
  else if (e.key === "Enter" || e.key === " ") { e.preventDefault(); show(active); }
});
$("rows").addEventListener("click", e => {
  const row = e.target.closest(".line");
  if (row && !String(getSelection())) { active = row.name; draw(); show(row.name); }
});
document.addEventListener("keydown", e => {
  if (e.key === "/" && !open && !/^(INPUT|SELECT)$/.test(e.target.tagName)) { e.preventDefault(); $("filter").focus(); }
});
$("filter").addEventListener("keydown", e => {
  if (e.key === "ArrowDown" || e.key === "Enter") { e.preventDefault(); move(0); }
  if (e.key === "Escape" && $("filter").value) { e.preventDefault(); $("filter").value = ""; arrange(); }
});
$("filter").addEventListener("input", arrange);
$("order").addEventListener("change", arrange);
$("states").addEventListener("click", e => {
  const b = e.target.closest("button");
  if (b) { state = b.value === state ? "" : b.value; summarise(); arrange(); }
});
let asked = false;
const redraw = () => { if (!asked) { asked = true; requestAnimationFrame(() => { asked = false; draw(); }); } };
addEventListener("scroll", redraw, { passive: true });
addEventListener("resize", layout);

// The list.
const byName = (a, b) => a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
const orders = {
  name: byName,
  attention: (a, b) => a.rank - b.rank || byName(a, b),
  expiry: (a, b) => (a.expires || Infinity) - (b.expires || Infinity) || byName(a, b),
};
function arrange() {
  const words = $("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  shown = [...tokens.values()].filter(t => (!state || t.state === state) && words.every(w => t.text.includes(w)));
  shown.sort(orders[$("order").value]);
  if (!shown.some(t => t.name === active)) active = shown.length ? shown[0].name : "";
  $("tokens").setAttribute("aria-rowcount", shown.length + 1);
  const narrowed = state || words.length;
  $("nothing").hidden = shown.length > 0;
  say($("nothing"), !tokens.size ? (daemon ? "No token is configured." : "") : "No token fits the filter.");
  say($("count"), narrowed ? `${count(shown.length, "token")} of ${tokens.size}` : "");
  layout();
}

let height = 0;
function layout() {
  height = parseFloat(getComputedStyle(document.documentElement).getPropertyValue("--row"));
  $("rows").style.height = `${shown.length * height}px`;
  draw();
}

// Only rows in sight are there, and the one that has the focus.
function draw() {
  const top = -$("rows").getBoundingClientRect().top;
  const first = Math.max(0, Math.floor(top / height) - 6);
  const last = Math.min(shown.length, Math.ceil((top + innerHeight) / height) + 6);
  const wanted = new Map();
  for (let i = first; i < last; i++) wanted.set(shown[i].name, i);
  const i = shown.findIndex(t => t.name === active);
  if (i >= 0) wanted.set(active, i);
  for (const [name, row] of rows) if (!wanted.has(name)) { row.remove(); rows.delete(name); }
  const place = $("rows");
  for (const [name, i] of wanted) {
    let row = rows.get(name);
    if (!row) { row = build(name); rows.set(name, row); }
    if (row.index !== i) { row.index = i; row.style.top = `${i * height}px`; row.setAttribute("aria-rowindex", i + 2); }
    row.tabIndex = name === active ? 0 : -1;
    if (row.token !== shown[i]) { row.token = shown[i]; fill(row); }
    if (!row.parentNode) place.append(row);
    tick(row);
  }
  settle(place);
}
// Rows stand in the document as they do on the screen, for those who hear it. The
// one that has the focus would lose it if it were moved, so the others make way.
function settle(place) {
  [...rows.values()].sort((a, b) => a.index - b.index).forEach((row, k) => {
    while (row === document.activeElement && place.children[k] !== row) place.append(place.children[k]);
    if (place.children[k] !== row) place.insertBefore(row, place.children[k]);
  });
}

function build(name) {
  const row = h("div", { class: "line", role: "row" });
  const p = row.parts = {
    name: h("span", { class: "one name" }, name), under: h("span", { class: "one sub" }),
    mark: h("span", { class: "mark", "aria-hidden": "true" }), state: h("span"),
    bar: h("i"), left: h("span", { class: "one sub" }), next: h("span", { class: "one" }), problem: h("span", { class: "one sub bad" }),
    sinks: h("span", { class: "one" }),
  };
  p.life = h("span", { class: "life", "aria-hidden": "true" }, p.bar);
  const cell = (c, ...children) => h("div", { class: c, role: "gridcell" }, ...children);
  row.append(cell("c-name", p.name, p.under), cell("c-state", h("span", { class: "pill" }, p.mark, p.state)),
    cell("c-life", p.life, p.left), cell("c-next", p.next), cell("c-sinks end", p.sinks));
  row.name = name;
  return row;
}
function fill(row) {
  const t = row.token, p = row.parts;
  row.dataset.state = t.state;
  say(p.under, `${t.provider} · ${t.grant}`);
  say(p.mark, marks[t.state]); say(p.state, labels[t.state]);
  p.life.hidden = !t.generation;
  if (t.problem) { say(p.problem, title(t.problem)); p.next.after(p.problem); } else p.problem.remove();
  const [words, tone] = sinks(t);
  say(p.sinks, words); p.sinks.classList.toggle("not", tone === "bad");
}
function tick(row) {
  const t = row.token, p = row.parts;
  p.bar.style.transform = `scaleX(${share(t).toFixed(4)})`;
  say(p.left, left(t)); say(p.next, next(t));
}

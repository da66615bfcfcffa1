// One token, in full.
let moving = [], last = null;
function time(t, prefix) {
  const e = h("time", { datetime: new Date(t).toISOString(), title: clock(t) });
  moving.push(() => say(e, (prefix || "") + relative(t)));
  return e;
}
function problemBox(p) {
  const known = explained[p.code];
  return h("div", { class: "trouble" },
    h("p", {}, h("strong", {}, known ? known.title : p.message), known ? known.cause : ""),
    known ? h("p", {}, h("b", {}, "What to do. "), known.remedy) : null,
    h("p", { class: "said" }, p.message),
    h("p", { class: "sub" }, p.code ? link(p.code) : "", " · ", time(at(p.at))));
}
function list(pairs) {
  return h("dl", { class: "facts-list" }, ...pairs.filter(Boolean).flatMap(([k, v]) => [h("dt", {}, k), h("dd", {}, v)]));
}
function card(where, good, words, ...rest) {
  return h("li", {}, h("div", { class: "lead" }, h("span", { class: "where" }, where), h("span", { class: good ? "ok" : "not" }, words)), ...rest.filter(Boolean));
}
function sinkCard(t, s) {
  const good = holds(t, s);
  const words = good ? "✓ current" : s.last_error ? "✕ failed" : s.generation ? `holds generation ${s.generation}` : "not written yet";
  const under = h("p", { class: "sub" }, s.kind, ` · generation ${s.generation || "–"}`,
    s.written_at ? " · " : "", s.written_at ? time(at(s.written_at), "written ") : "", s.repairs ? ` · ${count(s.repairs, "repair")}` : "");
  return card(s.target, good || !t.generation, words, under, s.last_error && problemBox(s.last_error));
}
function lifetime(t) {
  if (!t.generation) return null;
  const bar = h("i"), words = h("p", { class: "lead" });
  moving.push(() => { bar.style.transform = `scaleX(${share(t).toFixed(4)})`; say(words, left(t)); });
  return h("div", {}, h("span", { class: "life", "aria-hidden": "true" }, bar), words,
    h("p", { class: "ends" }, h("span", {}, `issued ${clock(t.issued)}`), h("span", {}, `expires ${clock(t.expires)}`)));
}
function history(moments) {
  if (!moments) return h("p", { class: "faint" }, "…");
  if (!moments.length) return h("p", { class: "faint" }, "Nothing is remembered of this token since the daemon started.");
  return h("ol", { class: "times" }, ...moments.map(m => h("li", { "data-tone": m.level },
    h("div", { class: "lead" }, h("span", {}, h("b", {}, m.text), m.count > 1 ? ` ×${m.count}` : ""), time(at(m.at))),
    m.detail ? h("p", { class: "said" }, m.detail) : null,
    m.code ? h("p", { class: "sub" }, link(m.code)) : null)));
}
function describe(t, moments) {
  moving = [];
  const planned = h("span");
  moving.push(() => say(planned, next(t)));
  const nodes = [
    h("p", { class: "lead" }, h("span", { class: "pill" }, h("span", { class: "mark", "aria-hidden": "true" }, marks[t.state]), labels[t.state]),
      h("span", { class: "faint" }, `${t.provider} · ${t.grant}`)),
    lifetime(t),
    t.last_error && (t.failures > 0 || t.state !== "fresh") ? problemBox(t.last_error) : null,
    list([["Next", planned], ["Generation", t.generation ? String(t.generation) : "none yet"],
      t.last_success && ["Last success", time(at(t.last_success))],
      t.failures > 0 && ["Failed", `${count(t.failures, "attempt")} in a row`],
      ["Since the start", `${count(t.refreshes, "refresh").replace("refreshs", "refreshes")}, ${count(t.logins, "login")}, ${count(t.attempts, "request")}`],
      ["Refresh token", t.refreshable ? "held" : "none"]]),
  ];
  if (t.sinks.length) nodes.push(h("h3", {}, "Sinks"), h("ul", { class: "cards" }, ...t.sinks.map(s => sinkCard(t, s))));
  const beside = [];
  if (t.hook) beside.push(card("on_update", !t.hook.last_error, t.hook.last_error ? "✕ failed" : t.hook.generation ? "✓ ran" : "has not run",
    t.hook.ran_at && h("p", { class: "sub" }, `generation ${t.hook.generation || "–"} · `, time(at(t.hook.ran_at))), t.hook.last_error && problemBox(t.hook.last_error)));
  if (t.probe) beside.push(card("probe", t.probe.ok || !t.probe.at, t.probe.ok ? "✓ accepted" : t.probe.at ? "✕ not accepted" : "not asked yet",
    t.probe.at && h("p", { class: "sub" }, time(at(t.probe.at))), t.probe.last_error && problemBox(t.probe.last_error)));
  if (beside.length) nodes.push(h("h3", {}, "Hook and probe"), h("ul", { class: "cards" }, ...beside));
  nodes.push(h("h3", {}, "What happened"), history(moments));
  const sheet = $("detail-body");
  sheet.dataset.state = t.state;
  sheet.replaceChildren(...nodes.filter(Boolean));
  moving.forEach(f => f());
}
async function show(name) {
  const t = tokens.get(name);
  if (!t) return;
  const fresh = open !== name;
  open = name;
  if (fresh) {
    last = null;
    say($("detail-name"), name);
    window.history.replaceState(null, "", `#${name}`);
    describe(t, null);
    $("detail-body").scrollTop = 0;
    if (!$("detail").open) $("detail").showModal();
    $("detail-name").focus();
  }
  try {
    const answer = await fetch(`/api/v1/tokens/${encodeURIComponent(name)}`, { cache: "no-store" });
    if (answer.ok) last = (await answer.json()).timeline;
  } catch { /* the link's own line says that the daemon is away */ }
  if (open === name && tokens.has(name)) describe(tokens.get(name), last || []);
}
$("detail").addEventListener("close", () => {
  open = ""; moving = [];
  window.history.replaceState(null, "", location.pathname);
  focus();
});
$("close").addEventListener("click", () => $("detail").close());
$("detail").addEventListener("click", e => { if (e.target === $("detail")) $("detail").close(); });
window.addEventListener("hashchange", () => { if (tokens.has(location.hash.slice(1))) show(location.hash.slice(1)); });

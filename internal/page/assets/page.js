"use strict";
(() => {
  const $ = id => document.getElementById(id);
  const explained = JSON.parse($("problems").textContent);
  const ranks = { human: 0, expired: 1, retrying: 2, pending: 3, fresh: 4, standby: 5 };
  const marks = { human: "!", expired: "✕", retrying: "◐", pending: "○", fresh: "●", standby: "–" };
  const labels = { human: "needs a person", expired: "expired", retrying: "retrying", pending: "pending", fresh: "fresh", standby: "standby" };

  // What is known. Tokens are replaced as a whole, never written to.
  const tokens = new Map();
  let daemon = null, revision = 0, offset = 0, tag = "", fetching = null, again = false;
  // What is shown of it.
  let shown = [], state = "", active = "", open = "";
  const rows = new Map();

  const now = () => Date.now() + offset;
  const at = text => text ? Date.parse(text) : 0;

  // Elements are made one by one: the page's policy lets no markup be parsed.
  function h(tag, attributes, ...children) {
    const e = document.createElement(tag);
    for (const [k, v] of Object.entries(attributes || {})) {
      if (k === "class") e.className = v;
      else if (v !== undefined && v !== null) e.setAttribute(k, v);
    }
    e.append(...children.filter(c => c !== null && c !== undefined && c !== ""));
    return e;
  }
  const say = (e, text) => { if (e.textContent !== text) e.textContent = text; };

  // Words, the same as tokend status uses.
  function span(ms) {
    const s = Math.floor(Math.abs(ms) / 1000), m = Math.floor(s / 60), hours = Math.floor(m / 60), d = Math.floor(hours / 24);
    const two = (a, x, b, y) => b ? `${a}${x} ${b}${y}` : `${a}${x}`;
    if (s < 60) return `${s}s`;
    if (m < 10) return two(m, "m", s % 60, "s");
    if (m < 60) return `${m}m`;
    if (hours < 24) return two(hours, "h", m % 60, "m");
    return two(d, "d", hours % 24, "h");
  }
  function relative(t) {
    const d = t - now();
    if (!t) return "never";
    if (Math.abs(d) < 1000) return "now";
    return d > 0 ? `in ${span(d)}` : `${span(d)} ago`;
  }
  const count = (n, noun) => `${n.toLocaleString("en")} ${noun}${n === 1 ? "" : "s"}`;
  const clock = t => new Date(t).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
  function left(t) {
    if (!t.generation) return "";
    const d = t.expires - now();
    return d > 0 ? `${span(d)} left` : `expired ${relative(t.expires)}`;
  }
  function share(t) {
    const whole = t.expires - t.issued;
    return t.generation && whole > 0 ? Math.min(1, Math.max(0, (t.expires - now()) / whole)) : 0;
  }
  function next(t) {
    const kind = t.next_kind || "request";
    if (t.state === "standby") return "kept by another replica";
    if (t.in_flight) return `${kind} under way`;
    if (!t.next) return t.state === "human" ? "waits for a person" : "nothing planned";
    return t.next <= now() ? `${kind} due` : `${kind} ${relative(t.next)}`;
  }
  const title = p => (explained[p.code] || {}).title || p.message;
  // The most telling failure of a token, if any still matters.
  function trouble(t) {
    if (t.last_error && (t.failures > 0 || t.state !== "fresh")) return t.last_error;
    const sink = t.sinks.find(s => s.last_error);
    if (sink) return sink.last_error;
    if (t.hook && t.hook.last_error) return t.hook.last_error;
    return t.probe && !t.probe.ok && t.probe.last_error || null;
  }
  const holds = (t, s) => !s.last_error && t.generation > 0 && s.generation === t.generation;
  function sinks(t) {
    const good = t.sinks.filter(s => holds(t, s)).length, n = t.sinks.length;
    if (!n || t.state === "standby") return ["–", ""];
    return good === n ? [`${n} ok`, ""] : [`${good} of ${n}`, t.generation ? "bad" : ""];
  }

  function take(t) {
    t.expires = at(t.expires_at); t.issued = at(t.issued_at); t.next = at(t.next_attempt);
    t.problem = trouble(t);
    t.rank = ranks[t.state] * 2 - (t.problem ? 1 : 0);
    t.text = [t.name, t.provider, t.grant, labels[t.state], ...t.sinks.map(s => `${s.kind} ${s.target}`),
      t.problem ? `${t.problem.code} ${title(t.problem)} ${t.problem.message}` : ""].join("\n").toLowerCase();
    tokens.set(t.name, t);
  }

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

  // What stands above the list.
  function summarise() {
    const counts = {};
    for (const t of tokens.values()) counts[t.state] = (counts[t.state] || 0) + 1;
    const chips = [["", "all", tokens.size], ...Object.keys(ranks).filter(s => counts[s] || s === state).map(s => [s, labels[s], counts[s] || 0])];
    const place = $("states"), key = JSON.stringify(chips.map(c => c[0]));
    if (place.key !== key) {
      place.key = key;
      place.replaceChildren(...chips.map(([s, label]) => {
        const b = h("button", { type: "button", "data-state": s || undefined },
          s ? h("span", { class: "mark", "aria-hidden": "true" }, marks[s]) : "", h("span", {}, label), h("b"));
        b.value = s;
        return b;
      }));
    }
    chips.forEach(([s, , n], i) => { say(place.children[i].lastChild, n.toLocaleString("en")); place.children[i].setAttribute("aria-pressed", s === state); });
    const bad = (counts.human || 0) + (counts.expired || 0);
    document.title = bad ? `(${bad}) tokend` : "tokend";
    facts();
  }
  function facts() {
    const d = daemon;
    if (!d) return;
    say($("version"), d.version);
    const all = [`up ${span(now() - at(d.started_at))}`];
    if (d.config.warnings) all.push(count(d.config.warnings, "warning"));
    all.push(d.state.sealed ? "state sealed" : "state not sealed");
    if (d.ha) {
      all.push(`replica ${d.ha.identity}`, d.ha.standby ? "stands by" : `keeps ${d.ha.held.length} of ${count(d.ha.shards, "shard")}`,
        `${count(d.ha.members.length, "replica")} alive`);
    }
    const major = all.length;
    all.push(`configuration loaded ${relative(at(d.config.loaded_at))}`);
    if (d.delivery.count) all.push(`delivered in ${millis(d.delivery.p50_ms)}, 99 of 100 in ${millis(d.delivery.p99_ms)}`);
    const place = $("facts");
    while (place.children.length > all.length) place.lastChild.remove();
    all.forEach((text, i) => {
      const e = place.children[i] || place.appendChild(h("span"));
      say(e, text);
      e.classList.toggle("minor", i >= major);
    });
    notice("config-problem", d.config.problem && ["The newest configuration is not used; the last good one runs. ", link("config")]);
    notice("replica-problem", d.ha && d.ha.problem && ["The Leases cannot be renewed. ", link("lease")]);
  }
  const millis = ms => ms < 10 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`;
  function notice(id, content) {
    const e = $(id), key = content ? "shown" : "";
    if (e.key === key) return;
    e.key = key; e.hidden = !content;
    e.replaceChildren(...(content || []));
  }
  const link = code => h("a", { href: `/problems#${code}` }, code);

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

  // The link to the daemon. A change that is older than what was fetched is left
  // aside; one that comes while something is being fetched waits.
  let waiting = [];
  function status(kind, text) { $("link").dataset.link = kind; say($("link-text"), text); }
  async function load() {
    if (fetching) { again = true; return; }
    fetching = fetch("/api/v1/tokens", { cache: "no-store", headers: tag ? { "If-None-Match": tag } : {} });
    try {
      const answer = await fetching;
      const date = at(answer.headers.get("Date")) - Date.now();
      if (Math.abs(date) > 2000) offset = date;
      if (answer.status === 200) {
        const all = await answer.json();
        tag = answer.headers.get("ETag") || "";
        revision = Number(answer.headers.get("Tokend-Revision"));
        tokens.clear(); all.tokens.forEach(take); daemon = all.daemon;
      } else if (answer.status !== 304) throw new Error(String(answer.status));
      const held = waiting;
      waiting = [];
      held.forEach(merge);
      paint();
      if (!document.documentElement.dataset.ready) performance.mark("shown");
      document.documentElement.dataset.ready = "yes";
    } catch { waiting = []; }
    fetching = null;
    if (again) { again = false; setTimeout(load, 3000); }
  }
  function merge(c) {
    if (c.revision <= revision) return;
    revision = c.revision; tag = "";
    c.removed.forEach(name => tokens.delete(name));
    c.changed.forEach(take);
    if (c.daemon) daemon = c.daemon;
  }
  function paint(changed) {
    summarise(); arrange();
    if (open && tokens.has(open) && (!changed || changed.has(open))) show(open);
    const named = location.hash.slice(1);
    if (!open && tokens.has(named)) show(named);
  }
  function listen() {
    const source = new EventSource("/api/v1/events");
    source.addEventListener("hello", e => { offset = at(JSON.parse(e.data).now) - Date.now(); status("live", "live"); load(); });
    source.addEventListener("reset", () => load());
    source.addEventListener("change", e => {
      const c = JSON.parse(e.data);
      if (fetching) { waiting.push(c); return; }
      merge(c);
      paint(new Set(c.changed.map(t => t.name)));
    });
    source.onerror = () => {
      status("lost", "daemon away, trying again");
      // Too many readers, or a daemon that ended: the browser gives up, we ask less often.
      if (source.readyState === EventSource.CLOSED) { status("poll", "updating every 10 s"); load(); setTimeout(listen, 10000); }
    };
  }
  setInterval(() => {
    for (const row of rows.values()) tick(row);
    moving.forEach(f => f());
    facts();
  }, 1000);
  layout();
  listen();
})();

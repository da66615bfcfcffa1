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

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

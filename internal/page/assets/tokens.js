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
  t.sinks = t.sinks || [];
  t.expires = at(t.expires_at); t.issued = at(t.issued_at); t.next = at(t.next_attempt);
  t.problem = trouble(t);
  t.rank = ranks[t.state] * 2 - (t.problem ? 1 : 0);
  t.text = [t.name, t.provider, t.grant, labels[t.state], ...t.sinks.map(s => `${s.kind} ${s.target}`),
    t.problem ? `${t.problem.code} ${title(t.problem)} ${t.problem.message}` : ""].join("\n").toLowerCase();
  tokens.set(t.name, t);
}

"use strict";
// The dashboard. It reads one stream of events and two lists, and builds its rows without HTML
// out of text, so that no name can become markup.

const POINTS = 60, NODES_ON_A_PAGE = 25, OPERATIONS_ON_A_PAGE = 15, DECISIONS = 60;
const $ = (id) => document.getElementById(id);
const kept = (name, value) => { try { return value === undefined ? localStorage.getItem(name) : localStorage.setItem(name, value); } catch { return null; } };
const state = {
  lang: kept("lang") || (navigator.language.startsWith("zh") ? "zh" : "en"),
  theme: kept("theme") || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"),
  overview: null, points: [], loads: {}, everyMs: 5000, operations: null, plugins: null, decisions: [], notices: [],
  nodePage: 0, nodeSearch: "", opPage: 0, opSearch: "", opClass: "", held: false, live: false,
};

// ---- words and figures
const w = (key, put = {}) => (WORDS[state.lang][key] ?? key).replace(/\{(\w+)\}/g, (_, name) => put[name] ?? "");
const word = (prefix, name) => WORDS[state.lang][prefix + name] ?? name;
function duration(ms) {
  if (ms === null || ms === undefined) return "–";
  if (ms < 1000) return `${ms < 10 ? Math.round(ms * 10) / 10 : Math.round(ms)} ms`;
  if (ms < 60000) return `${(ms / 1000).toFixed(ms < 10000 ? 1 : 0)} s`;
  if (ms < 7200000) return `${Math.round(ms / 60000)} min`;
  return ms < 172800000 ? `${Math.round(ms / 3600000)} h` : `${Math.round(ms / 86400000)} d`;
}
const figure = (n) => n >= 100 ? Math.round(n).toLocaleString(state.lang) : String(Math.round(n * 10) / 10);
const clock = (at) => new Date(at).toLocaleTimeString(state.lang === "zh" ? "zh-CN" : "en-GB");

// ---- building
function el(tag, about = {}, ...inside) {
  const svg = ["svg", "path", "rect", "circle", "line"].includes(tag);
  const node = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(about)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value);
  }
  node.append(...inside.filter((one) => one !== null && one !== undefined));
  return node;
}
// Rows stay what they are while their cells do not change: focus and selection survive.
function paint(body, rows, none) {
  const old = new Map([...body.children].map((row) => [row.dataset.key, row]));
  let at = body.firstElementChild;
  for (const { key, cells } of rows) {
    let row = old.get(key);
    old.delete(key);
    if (!row) {
      row = el("tr", { "data-key": key });
      row.seen = [];
      for (const cell of cells) row.append(el("td", { class: cell.look }));
    }
    cells.forEach((cell, n) => {
      const sign = JSON.stringify([cell.sign, state.lang]);
      if (row.seen[n] === sign) return;
      row.seen[n] = sign;
      row.children[n].className = cell.look || "";
      row.children[n].replaceChildren(...[cell.make()].flat());
    });
    if (row === at) at = at.nextElementSibling;
    else body.insertBefore(row, at);
  }
  old.forEach((row) => row.remove());
  if (!rows.length && none) body.append(el("tr", { "data-key": "none" }, el("td", { class: "none", colspan: 12 }, none)));
}
const cell = (sign, look, make) => ({ sign, look: look || "", make: make || (() => String(sign ?? "–")) });
const button = (text, act, label) => el("button", { type: "button", onclick: act, "aria-label": label }, text);

function pages(nav, page, size, total, go) {
  const last = Math.max(0, Math.ceil(total / size) - 1);
  const sign = JSON.stringify([page, total, state.lang]);
  if (nav.sign === sign) return;
  nav.sign = sign;
  if (total <= size) return nav.replaceChildren();
  const turn = (text, to) => {
    const one = button(text === "‹" ? "‹" : "›", () => go(to), w(text === "‹" ? "previous" : "next"));
    one.disabled = to < 0 || to > last;
    return one;
  };
  const place = w("of", { a: page * size + 1, b: Math.min(total, (page + 1) * size), n: total });
  nav.replaceChildren(el("span", {}, place), turn("‹", page - 1), turn("›", page + 1));
}

// ---- pictures
function lines(values, top, width, height) {
  let path = "", pen = false;
  values.forEach((value, n) => {
    if (value === null || value === undefined) { pen = false; return; }
    const x = (POINTS - values.length + n) * width / (POINTS - 1), y = height - 1 - (height - 3) * Math.min(1, value / top);
    path += `${pen ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
    pen = true;
  });
  return path;
}
function graph(series, width, height, label) {
  const all = series.flatMap((one) => one.values).filter((value) => value !== null && value !== undefined);
  const top = Math.max(1e-9, ...all) * 1.05;
  const svg = el("svg", { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", class: "graph", role: "img", "aria-label": label });
  svg.append(el("path", { class: "base", d: `M0 ${height - .5}H${width}` }));
  for (const one of series) svg.append(el("path", { class: one.look, d: lines(one.values, top, width, height) }));
  return svg;
}
// Places where there is a limit; otherwise what runs.
function slots(node) {
  const { short, long } = node.in_flight, beyond = node.beyond, used = short + long + beyond;
  const all = Math.max(node.places ?? 0, used), most = 16, scale = all > most ? most / all : 1;
  const svg = el("svg", { class: "slots", width: most * 7, height: 12, "aria-hidden": "true" });
  let x = 0;
  for (const [n, look] of [[long, "s-long"], [short, "s-short"], [beyond, "s-beyond"], [all - used, "s-free"]]) {
    const many = Math.min(most - x, n ? Math.max(1, Math.round(n * scale)) : 0);
    for (let k = 0; k < many; k++, x++) svg.append(el("rect", { class: look, x: x * 7, y: 1, width: 5.5, height: 10, rx: 1 }));
  }
  return svg;
}
// The last samples on a logarithmic scale; the line in it is the threshold.
function dots(samples, threshold) {
  const width = 112, place = (ms) => 4 + (width - 8) * Math.min(1, Math.max(0, (Math.log10(Math.max(ms, 1e-3) / threshold) + 3) / 4));
  const svg = el("svg", { width, height: 16, role: "img", "aria-label": `${samples.map(duration).join(", ")}; ${w("threshold", { t: duration(threshold) })}` });
  svg.append(el("line", { class: "limit", x1: place(threshold), x2: place(threshold), y1: 0, y2: 16 }));
  samples.slice(-7).forEach((ms, n, all) => svg.append(el("circle", {
    class: ms >= threshold ? "s-long" : "s-short", cx: place(ms), cy: 8, r: n === all.length - 1 ? 4 : 2.6, opacity: n === all.length - 1 ? 1 : .55 })));
  return svg;
}

// ---- tiles
function rate(points, of) {
  return points.map((point, n) => {
    const before = points[n - 1];
    return before ? Math.max(0, (of(point) - of(before)) / Math.max(1, (point.at_ms - before.at_ms) / 1000)) : null;
  });
}
function tiles() {
  const points = state.points, now = state.overview.now;
  const both = (of) => [{ look: "l-short", values: of("short") }, { look: "l-long", values: of("long") }];
  const rates = both((lane) => rate(points, (point) => point[lane].ended));
  const failed = rate(points, (point) => point.failed);
  const last = (values) => values[values.length - 1] ?? 0;
  const tile = (name, big, small, series, show) => el("div", { class: "tile" }, el("p", { class: "name" }, w(name), most(series, show)),
    el("p", { class: "big" }, ...big, el("small", {}, small)), graph(series, 300, 46, w(name)));
  const most = (series, show) => {
    const top = Math.max(0, ...series.flatMap((one) => one.values).map((value) => value ?? 0));
    return el("span", {}, top ? w("most", { n: show(top) }) : "");
  };
  const pair = (a, b) => [el("span", { class: "short" }, a), " ", el("span", { class: "long" }, b)];
  const none = last(failed) > 0 ? ` · ${w("failing", { n: figure(last(failed)) })}` : "";
  const waits = now.waiting ? ` · ${w("waiting")} ${now.waiting}` : "";
  $("tiles").replaceChildren($("h-now"),
    tile("requests", pair(figure(last(rates[0].values)), figure(last(rates[1].values))), `  ${w("short")} / ${w("long")}${none}`,
      [...rates, { look: "l-bad", values: failed.some((n) => n) ? failed : [] }], figure),
    tile("latency", pair(duration(now.short.p99_ms), ""), `p50 ${duration(now.short.p50_ms)}`, [{ look: "l-short", values: points.map((point) => point.short.p99_ms) }], duration),
    tile("latency_long", pair("", duration(now.long.p99_ms)), `  p50 ${duration(now.long.p50_ms)}`, [{ look: "l-long", values: points.map((point) => point.long.p99_ms) }], duration),
    tile("running", pair(String(now.short.in_flight), String(now.long.in_flight)), `  ${w("short")} / ${w("long")}${waits}`,
      [...both((lane) => points.map((point) => point[lane].in_flight)), { look: "l-quiet", values: points.some((point) => point.waiting) ? points.map((point) => point.waiting) : [] }], figure));
}

// ---- tables
// What is asked, and of whom; a provider that is the plugin is not said twice.
function key(text) {
  const [what, ...of] = text.split("|");
  const parts = of.filter((part, n) => part && part !== of[n - 1]);
  return el("span", { title: text }, el("b", {}, what), el("small", {}, parts.length ? ` ${parts.join(" · ")}` : ""));
}
function nodes() {
  const all = state.overview.nodes, sought = state.nodeSearch.toLowerCase();
  const found = all.filter((node) => `${node.id} ${node.address} ${node.pool} ${node.light}`.toLowerCase().includes(sought));
  state.nodePage = Math.min(state.nodePage, Math.max(0, Math.ceil(found.length / NODES_ON_A_PAGE) - 1));
  const from = state.nodePage * NODES_ON_A_PAGE;
  $("nodes-count").textContent = `${all.filter((node) => node.light === "up").length} / ${all.length}`;
  $("nodes-search").hidden = all.length <= NODES_ON_A_PAGE;
  pages($("nodes-pages"), state.nodePage, NODES_ON_A_PAGE, found.length, (to) => { state.nodePage = to; nodes(); });
  paint($("node-rows"), found.slice(from, from + NODES_ON_A_PAGE).map(nodeRow));
}
function nodeRow(node) {
  const took = (lane) => node.took[lane].count ? `${duration(node.took[lane].p50_ms)} / ${duration(node.took[lane].p99_ms)}` : "–";
  const loads = state.loads[node.id] || [], elsewhere = node.other_gateways.total;
  const of = [node.beyond ? w("beyond", { n: node.beyond }) : "", elsewhere ? w("other_gateways", { n: elsewhere }) : ""].filter(Boolean).join(", ");
  const check = node.check && (node.check.wrong ?? `${duration(node.check.took_ms)}, ${w("ago", { t: `${Math.max(1, Math.round(node.check.ago_s))} s` })}`);
  const resting = node.light === "resting" ? ` ${duration(node.resting_ms)}` : "";
  return { key: node.id, cells: [
    cell([node.id, node.address, node.role], "", () => [el("b", {}, node.id), " ", el("small", {}, `${node.address === node.id ? "" : node.address} ${node.role === "secondary" ? "" : node.role}`)]),
    cell([node.light, resting], "", () => el("span", { class: `light ${node.light}` }, word("l_", node.light) + resting)),
    cell([node.in_flight, node.places, node.beyond, elsewhere], "", () => el("span", { class: "flight" },
      el("b", {}, el("span", { class: "short" }, String(node.in_flight.short)), " + ", el("span", { class: "long" }, String(node.in_flight.long))),
      slots(node), el("small", {}, [node.places ? `/ ${node.places}` : "", of].filter(Boolean).join(" ")))),
    cell(took("short"), "n"), cell(took("long"), "n"),
    cell([node.failed_5m, node.failed], "n", () => [el("span", { class: node.failed_5m ? "bad" : "" }, String(node.failed_5m)), " ", el("small", { title: w("failed_all", { n: node.failed }) }, node.failed ? `(${node.failed})` : "")]),
    cell([node.weight, node.slowness], "n", () => `${node.weight}${node.slowness > 1.05 ? ` ÷${node.slowness}` : ""}`),
    cell(check ?? w("never"), node.check && node.check.wrong ? "bad" : "", () => el("span", { title: check }, check && check.length > 44 ? `${check.slice(0, 43)}…` : check ?? w("never"))),
    cell(loads.join(), "", () => { const svg = graph([{ look: "l-quiet", values: loads }], 90, 20, w("five_minutes")); svg.setAttribute("width", 90); svg.setAttribute("height", 20); return svg; }),
    cell(node.state, "", () => el("div", { class: "acts" }, node.state === "ready"
      ? button(w("drain"), () => drain(node.id), `${w("drain")} ${node.id}`)
      : button(w("ready"), () => ready(node.id), `${w("ready")} ${node.id}`))),
  ] };
}
function operations() {
  const page = state.operations;
  if (!page) return;
  $("ops-count").textContent = w("known", { n: page.known, t: duration(page.threshold_ms) });
  pages($("ops-pages"), state.opPage, OPERATIONS_ON_A_PAGE, page.total, (to) => { state.opPage = to; learn(); });
  paint($("op-rows"), page.operations.map((row) => {
    const lane = row.long ? "long" : "short", other = row.long ? "short" : "long";
    const by = row.pin ? w(`pin_${row.pin}`) : row.basis === "learned" ? "" : word("b_", row.basis);
    return { key: row.key, cells: [
      cell(row.key, "key", () => key(row.key)),
      // What is told by its kind alone may be either.
      cell([lane, by], "", () => [row.basis === "prior" ? "" : el("b", { class: lane }, w(lane)), " ", el("small", {}, by)]),
      cell([row.samples_ms, page.threshold_ms], "", () => dots(row.samples_ms, page.threshold_ms)),
      cell(duration(row.p50_ms), "n"), cell(duration(row.p95_ms), "n"),
      cell([row.total, row.running], "n", () => row.running ? `${row.total} +${row.running}` : String(row.total)),
      cell([row.pin, lane], "", () => el("div", { class: "acts" }, row.pin === "hand"
        ? button(w("unpin"), () => unpin(row.key), `${w("unpin")} ${row.key}`)
        : button(w("pin_to", { c: w(other) }), () => pin(row.key, other), `${w("pin")} ${row.key}`),
      button(w("forget"), () => forget(row.key), `${w("forget")} ${row.key}`))),
    ] };
  }), w("none_learned"));
}
function decisions() {
  if (state.held) return;
  paint($("dec-rows"), state.decisions.map((one) => ({ key: `${one.request} ${one.attempt}`, cells: [
    cell(one.at, "", () => el("time", { datetime: one.at, title: one.request }, clock(one.at))),
    cell([one.operation, one.attempt], "key", () => [one.attempt > 1 ? el("small", {}, `${one.attempt}. `) : "", key(one.operation)]),
    cell([one.class, one.basis], "", () => [el("span", { class: one.class }, w(one.class)), " ", el("small", {}, one.score_ms === null ? word("b_", one.basis) : duration(one.score_ms))]),
    cell(one.node, one.node ? "" : "bad"),
    cell(word("w_", one.why)),
  ] })), w("none_decided"));
}
function fleet() {
  const { fleet: all, pools, gateway } = state.overview;
  $("fleet-word").textContent = all.redis === "disabled" ? w("alone") : `Redis: ${all.redis}`;
  paint($("fleet-rows"), all.gateways.map((one) => ({ key: one.id, cells: [
    cell([one.id, one.self], "", () => [el("b", {}, one.id), " ", el("small", {}, one.self ? w("this_one") : one.address)]),
    cell(one.in_flight, "n"),
    cell([one.config, one.config_drift], one.config_drift ? "bad" : "", () => one.self ? one.config.slice(0, 8) : `${one.config.slice(0, 8)} ${w(one.config_drift ? "differs" : "same")}`),
    cell(one.version), cell(one.self ? "–" : w("ago", { t: duration(one.age_ms) }), "n"),
  ] })));
  paint($("pool-rows"), pools.map((pool) => ({ key: pool.name, cells: [
    cell(pool.name, "", () => el("b", {}, pool.name)), cell(pool.strategy), cell(`${pool.healthy_nodes} / ${pool.nodes}`, "n"),
    cell([pool.waiting, state.lang], "n", () => pool.waiting ? [el("span", { class: "short" }, String(pool.waiting.short)), " + ", el("span", { class: "long" }, String(pool.waiting.long))] : w("no_caps")),
    cell(pool.waiting ? pool.waiting.short_reserve : null, "n"),
  ] })));
  $("foot").textContent = [`twolane ${gateway.version}`, gateway.gateway, `${w("config")} ${gateway.config.slice(0, 8)} (${gateway.config_version})`,
    w("up_for", { t: duration(gateway.uptime_seconds * 1000) })].join(" · ");
}
// What pools expect and where it is; nothing where nothing is expected.
function plugins() {
  const page = state.plugins;
  $("plugins").hidden = !page || page.pools.length === 0;
  if ($("plugins").hidden) return;
  const rows = page.pools.flatMap((pool) => pool.plugins);
  $("plugins-count").textContent = page.missing ? w("missing", { n: page.missing }) : "";
  const look = (state) => state === "present" ? "short" : state === "unknown" ? "" : "bad";
  paint($("plugin-rows"), rows.map((row) => ({ key: `${row.node} ${row.plugin}`, cells: [
    cell(row.plugin, "key", () => el("b", {}, row.plugin)), cell(row.node),
    cell(row.state, look(row.state), () => word("p_", row.state)),
    cell(row.for_s === null ? "–" : duration(row.for_s * 1000), "n"),
    cell(row.asked_s_ago === null ? w("never") : w("ago", { t: duration(row.asked_s_ago * 1000) }), "n"),
  ] })));
}
function notices() {
  const rows = state.notices.slice(-50).reverse();
  const sign = JSON.stringify([rows.length && rows[0].number, state.lang]);
  if ($("notice-rows").sign === sign) return;
  $("notice-rows").sign = sign;
  const look = (what) => what === "node_down" ? "bad" : "";
  $("notice-rows").replaceChildren(...rows.map((one) => el("li", {}, el("time", { datetime: new Date(one.at_ms).toISOString() }, clock(one.at_ms)),
    el("span", { class: look(one.what) }, w(`n_${one.what}`, { x: one.about })))));
  if (!rows.length) $("notice-rows").append(el("li", { class: "none" }, w("none_changed")));
}
function verdict() {
  const { gateway, nodes: all } = state.overview, off = all.filter((node) => node.light !== "up").length;
  const [look, text] = gateway.draining ? ["warn", w("ending")] : !gateway.ready ? ["down", w(all.some((node) => node.status === "up") ? "starting" : "nobody")]
    : off ? ["warn", w("some", { n: off, all: all.length })] : ["up", w("ok")];
  // Said aloud by screen readers: only when it changes.
  if ($("verdict").textContent !== text) $("verdict").textContent = text;
  $("verdict").className = look;
  document.title = look === "up" ? "twolane" : `(!) twolane: ${text}`;
}
function connection() {
  document.body.classList.toggle("stale", !state.live);
  const text = state.live ? w("live") : w("lost");
  if ($("line").textContent !== text) $("line").textContent = text;
}
function draw() {
  connection();
  if (!state.overview) return;
  verdict(); tiles(); nodes(); fleet(); notices();
}
function translate() {
  document.documentElement.lang = state.lang === "zh" ? "zh-CN" : "en";
  document.documentElement.dataset.theme = state.theme;
  document.querySelectorAll("[data-w]").forEach((one) => { one.textContent = w(one.dataset.w); });
  document.querySelectorAll("[data-p]").forEach((one) => { one.placeholder = w(one.dataset.p); one.setAttribute("aria-label", w(one.dataset.p)); });
  document.querySelectorAll("[data-l]").forEach((one) => { one.setAttribute("aria-label", w(one.dataset.l)); });
  $("lang").textContent = w("other");
  $("theme").textContent = w(state.theme === "dark" ? "light" : "dark");
  draw(); operations(); plugins(); decisions();
}

// ---- acting
async function send(method, path, body, done) {
  try {
    const answer = await fetch(path, { method, body: body && JSON.stringify(body) });
    const text = await answer.text();
    tell(answer.ok ? w("done", { x: done }) : w("refused", { x: text }));
  } catch { tell(w("lost")); }
  learn();
}
let telling = 0;
function tell(text) {
  $("told").textContent = text;
  clearTimeout(telling);
  telling = setTimeout(() => { $("told").textContent = ""; }, 5000);
}
function sure(what, more, yes) {
  return new Promise((answer) => {
    $("sure-what").textContent = what;
    $("sure-more").textContent = more;
    $("sure-yes").textContent = yes;
    $("sure").returnValue = "no";
    $("sure").showModal();
    $("sure").addEventListener("close", () => answer($("sure").returnValue === "yes"), { once: true });
  });
}
const at = (kind, name, end = "") => `/api/v1/${kind}/${encodeURIComponent(name)}${end}`;
async function drain(id) {
  const node = state.overview.nodes.find((one) => one.id === id);
  if (await sure(w("sure_drain", { x: id }), w("more_drain", { n: node ? node.in_flight.total + node.other_gateways.total : 0 }), w("drain"))) send("PUT", at("nodes", id, "/state"), { state: "drain" }, `${w("drain")} ${id}`);
}
async function ready(id) {
  if (await sure(w("sure_ready", { x: id }), w("more_ready"), w("ready"))) send("PUT", at("nodes", id, "/state"), { state: "ready" }, `${w("ready")} ${id}`);
}
async function pin(key, to) {
  if (await sure(w("sure_pin", { x: key, c: w(to) }), w("more_pin"), w("pin"))) send("PUT", at("operations", key, "/pin"), { class: to }, `${w("pin")} ${key}`);
}
async function unpin(key) {
  if (await sure(w("sure_unpin", { x: key }), w("more_unpin"), w("unpin"))) send("DELETE", at("operations", key, "/pin"), null, `${w("unpin")} ${key}`);
}
async function forget(key) {
  if (await sure(w("sure_forget", { x: key }), w("more_forget"), w("forget"))) send("DELETE", at("operations", key), null, `${w("forget")} ${key}`);
}

// ---- listening
const get = async (path) => { const answer = await fetch(path); if (!answer.ok) throw new Error(path); return answer.json(); };
async function learn() {
  const ask = new URLSearchParams({ limit: OPERATIONS_ON_A_PAGE, offset: state.opPage * OPERATIONS_ON_A_PAGE, search: state.opSearch, class: state.opClass });
  try {
    state.operations = await get(`/api/v1/operations?${ask}`);
    state.plugins = await get("/api/v1/plugins");
    operations(); plugins();
  } catch { /* The stream says that the gateway is gone. */ }
}
const heard = {
  overview(overview) {
    state.overview = overview;
    const last = state.points[state.points.length - 1];
    if (!last || overview.now.at_ms - last.at_ms >= state.everyMs) {
      state.points = [...state.points, overview.now].slice(-POINTS);
      const loads = {};
      for (const node of overview.nodes) loads[node.id] = [...(state.loads[node.id] || []), node.in_flight.total].slice(-POINTS);
      state.loads = loads;
    }
    draw();
  },
  decisions({ decisions: rows }) { state.decisions = [...rows, ...state.decisions].slice(0, DECISIONS); decisions(); },
  notices({ notices: rows }) { state.notices = [...state.notices, ...rows].slice(-200); notices(); },
};
async function listen() {
  const history = await get("/api/v1/history");
  Object.assign(state, { points: history.points, loads: history.in_flight, notices: history.notices, everyMs: history.every_s * 1000 });
  state.decisions = (await get(`/api/v1/decisions?limit=${DECISIONS}`)).decisions;
  decisions();
  const answer = await fetch("/api/v1/events");
  if (!answer.ok) throw new Error("events");
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) throw new Error("the stream ended");
    text += value;
    const events = text.split("\n\n");
    text = events.pop();
    state.live = true;
    for (const event of events) {
      const [name, data] = event.split("\ndata: ");
      heard[name.slice("event: ".length)]?.(JSON.parse(data));
    }
  }
}
async function keepListening() {
  for (;;) {
    try { await listen(); } catch { state.live = false; connection(); }
    await new Promise((go) => setTimeout(go, 1500));
  }
}

$("lang").addEventListener("click", () => { state.lang = state.lang === "zh" ? "en" : "zh"; kept("lang", state.lang); translate(); });
$("theme").addEventListener("click", () => { state.theme = state.theme === "dark" ? "light" : "dark"; kept("theme", state.theme); translate(); });
$("hold").addEventListener("click", () => { state.held = !state.held; $("hold").setAttribute("aria-pressed", String(state.held)); decisions(); });
$("nodes-search").addEventListener("input", (event) => { state.nodeSearch = event.target.value; state.nodePage = 0; if (state.overview) nodes(); });
$("ops-search").addEventListener("input", (event) => { state.opSearch = event.target.value; state.opPage = 0; learn(); });
$("ops-class").addEventListener("change", (event) => { state.opClass = event.target.value; state.opPage = 0; learn(); });
translate();
keepListening();
learn();
setInterval(learn, 3000);

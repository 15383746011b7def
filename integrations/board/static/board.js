"use strict";
// Keeps the page alive: takes the parts as they come, runs the clocks, and says so when nothing comes.
(() => {
  const root = document.documentElement;
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  root.classList.add("js");

  const theme = document.getElementById("theme");
  const kept = { get: (key) => { try { return localStorage.getItem(key); } catch { return null; } },
    set: (key, value) => { try { localStorage.setItem(key, value); } catch { /* a private window */ } } };
  if (kept.get("theme")) root.dataset.theme = kept.get("theme");
  theme.hidden = false;
  theme.addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    kept.set("theme", root.dataset.theme);
  });

  const pad = (number) => String(number).padStart(2, "0");
  const ago = (seconds) => {
    const size = Math.abs(seconds);
    const said = size < 1.5 ? "" : size < 90 ? `${Math.round(size)} s` : size < 5400 ? `${Math.round(size / 60)} m`
      : size < 129600 ? `${Math.round(size / 3600)} h` : `${Math.round(size / 86400)} days`;
    return !said ? "now" : seconds < 0 ? `in ${said}` : `${said} ago`;
  };
  const write = (node, text) => { if (node.textContent !== text) node.textContent = text; };
  const tick = () => {
    const now = Date.now();
    for (const node of all("[data-since]")) {
      const whole = Math.max(0, Math.floor((now - Date.parse(node.dataset.since)) / 1000));
      const hours = Math.floor(whole / 3600);
      write(node, `${hours ? hours + ":" : ""}${pad(Math.floor(whole / 60) % 60)}:${pad(whole % 60)}`);
    }
    for (const node of all("time[data-time]")) {
      const at = new Date(node.dateTime);
      const clock = `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}`;
      const day = at.toLocaleDateString(undefined, { day: "numeric", month: "short" });
      const old = now - at > 64800000;
      const form = node.dataset.time;
      write(node, form === "ago" ? ago((now - at) / 1000) : form === "age" || form === "old" ? ago(Math.max(2, (now - at) / 1000)).slice(0, -4) + (form === "old" ? " old" : "") : form === "full" ? `${day} ${clock}` : old ? `${day} ${clock.slice(0, 5)}` : clock);
      node.title = at.toLocaleString();
    }
  };

  // Makes `old` like `fresh`: what has a key keeps its place in the document's memory, focus and animation included.
  const ticking = (node) => node.dataset && (node.dataset.since || node.dataset.time);
  const like = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName && (a.dataset?.key ?? null) === (b.dataset?.key ?? null);
  const morph = (old, fresh) => {
    const keyed = new Map();
    for (const node of old.children) if (node.dataset.key) keyed.set(node.dataset.key, node);
    let place = old.firstChild;
    for (const node of [...fresh.childNodes]) {
      const key = node.dataset?.key;
      let match = key ? keyed.get(key) : place && like(place, node) ? place : null;
      if (match) {
        if (match === place) place = place.nextSibling; else old.insertBefore(match, place);
        same(match, node);
      } else {
        old.insertBefore(node, place);
        if (key) node.classList.add("new");
      }
    }
    while (place) { const next = place.nextSibling; place.remove(); place = next; }
  };
  const same = (old, fresh) => {
    if (old.nodeType !== Node.ELEMENT_NODE) { if (old.data !== fresh.data) old.data = fresh.data; return; }
    const still = ticking(old) && ticking(old) === ticking(fresh) && old.dateTime === fresh.dateTime;
    for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) {
      if (name === "class") old.className = old.classList.contains("new") ? "new" : ""; else old.removeAttribute(name);
    }
    for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    if (still) return;
    const changes = old.classList.contains("num") && old.textContent !== fresh.textContent;
    morph(old, fresh);
    if (changes) { old.classList.remove("changed"); void old.offsetWidth; old.classList.add("changed"); }
  };

  let heard = Date.now(), waiting = new Map();
  const HELD = 3000;
  const PAUSE = 10000;
  const known = new Map(), main = document.getElementById("main");
  let renewing = 0, renewedAt = 0;
  // a page that is no part itself is fetched anew when the part that it goes with has news: at once where nothing came
  // for long, else when the pause is over, since all viewers ask for it
  const renew = () => { renewing ||= setTimeout(fetchPage, Math.max(0, renewedAt + PAUSE - Date.now())); };
  const fetchPage = async () => {
    renewing = 0;
    renewedAt = Date.now();
    if (main.querySelector("details[open], select:focus, input:focus")) { renew(); return; }
    try {
      const answer = await fetch(location.href);
      if (!answer.ok) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      morph(main, page.getElementById("main"));
      tick();
    } catch { /* said by `watch` */ }
  };
  const take = (name, html) => {
    const isNews = known.has(name) && known.get(name) !== html;
    known.set(name, html);
    if (isNews && main.querySelector(`[data-renew="${CSS.escape(name)}"]`)) renew();
    const node = document.querySelector(`[data-part="${CSS.escape(name)}"]`);
    if (!node) return;
    // a row must not slip away from under the pointer, but neither must the page lie for long
    const since = waiting.get(name)?.since ?? Date.now();
    if (all(".rows", node).some((rows) => rows.matches(":hover")) && Date.now() - since < HELD) { waiting.set(name, { html, since }); return; }
    waiting.delete(name);
    const holder = document.createElement("template");
    holder.innerHTML = html;
    morph(node, holder.content);
    tick();
  };
  const lost = document.getElementById("lost");
  const alive = () => { heard = Date.now(); if (root.classList.contains("stale")) { root.classList.remove("stale"); lost.hidden = true; } };
  const watch = () => {
    for (const [name, { html }] of [...waiting]) take(name, html);
    const age = Math.round((Date.now() - heard) / 1000);
    if (age < 12 && !(broken && age >= 3)) return;
    root.classList.add("stale");
    lost.hidden = false;
    write(lost, `Not connected · as of ${ago(age)}`);
  };

  let broken = false, polling = 0, tag = "", stream = null, fails = 0;
  const poll = async () => {
    try {
      const answer = await fetch("/parts", { headers: tag ? { "If-None-Match": tag } : {}, signal: AbortSignal.timeout(5000) });
      if (answer.ok) { tag = answer.headers.get("ETag") || ""; for (const [name, html] of Object.entries(await answer.json())) take(name, html); }
      if (answer.ok || answer.status === 304) alive();
    } catch { /* said by `watch` */ }
  };
  const connect = () => {
    stream = new EventSource("/stream");
    const fine = () => { broken = false; fails = 0; clearInterval(polling); polling = 0; alive(); };
    stream.addEventListener("part", (event) => { fine(); const part = JSON.parse(event.data); take(part.name, part.html); });
    stream.addEventListener("beat", fine);
    stream.addEventListener("error", () => { broken = true; stream.close(); again(); });
  };
  const again = () => {
    fails += 1;
    if (fails >= 3 && !polling) { void poll(); polling = setInterval(poll, 2000); }
    setTimeout(connect, fails < 3 ? 1000 : 15000);
  };
  // a proxy that swallows the stream gives no error: nothing comes
  setInterval(() => { if (!polling && Date.now() - heard > 8000 && !broken) { stream?.close(); broken = true; fails = 3; again(); } }, 2000);
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

  const tabs = all("[role=tab]");
  const choose = (tab, focus) => {
    for (const other of tabs) {
      other.setAttribute("aria-selected", String(other === tab));
      other.tabIndex = other === tab ? 0 : -1;
      document.getElementById(other.getAttribute("aria-controls")).classList.toggle("chosen", other === tab);
    }
    if (focus) tab.focus();
  };
  for (const [place, tab] of tabs.entries()) {
    tab.addEventListener("click", () => choose(tab));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (step) choose(tabs[(place + step + tabs.length) % tabs.length], true);
    });
  }
  if (tabs.length) choose(tabs[0]);

  for (const name of all("input[name=who]")) name.value = kept.get("who") || "";
  addEventListener("submit", (event) => { const name = event.target.querySelector?.("input[name=who]"); if (name) kept.set("who", name.value); });
  for (const select of all(".filters select")) select.addEventListener("change", () => select.form.requestSubmit());

  tick();
  connect();
  setInterval(tick, 1000);
  setInterval(watch, 1000);
})();

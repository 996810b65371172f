/* The live session page. The socket is never asked whether a value is fresh: this page's own clock
   decides (docs/algorithms/live-feed.md). Ages come from the server; the time passed since is the
   larger of two clocks, so that neither a sleeping tab nor a wall clock set back makes a value young. */
(() => {
  "use strict";
  const root = document.getElementById("live");
  if (!root) return;
  const data = root.dataset, words = JSON.parse(document.getElementById("live-words").textContent);
  const all = (selector, from = root) => [...from.querySelectorAll(selector)];
  const one = (id) => document.getElementById(id);

  /* -- time: a stamp now, and the milliseconds since one ------------------------------------------ */
  const stamp = () => [performance.now(), Date.now()];
  const since = ([ticks, wall]) => Math.max(performance.now() - ticks, Date.now() - wall);
  const opened = [0, performance.timeOrigin];
  let held = null, timer = null, heard = opened, synced = true, source = null, seq = data.seq, chartDue = false;

  const tiles = {};
  for (const tile of all("[data-vital]")) {
    const value = tile.querySelector(".tile-value");
    tiles[tile.dataset.vital] = {
      tile, value, age: tile.querySelector(".tile-age"),
      said: value.textContent, old: tile.dataset.ageMs === "" ? Infinity : +tile.dataset.ageMs, at: opened,
      aging: +tile.dataset.agingMs, stale: +tile.dataset.staleMs,
    };
  }

  const told = (ms) => {
    const s = Math.floor(ms / 1000);
    return s < 60 ? `${s} s` : `${Math.floor(s / 60)} min`;
  };
  const clock = (ms) => {
    const s = Math.max(0, Math.floor(ms / 1000));
    return `${Math.floor(s / 60)}:${String(s % 60).padStart(2, "0")}`;
  };
  const isFrench = document.documentElement.lang.startsWith("fr");
  const decimals = (text) => isFrench ? text.replace(/(\d)\.(?=\d)/g, "$1,") : text;
  const say = (node, text) => { if (node && node.textContent !== text) node.textContent = text; };

  /* -- what is drawn, four times a second --------------------------------------------------------- */
  const draw = () => {
    const silent = since(heard), lost = silent > +data.linkMs;
    root.classList.toggle("no-link", lost);
    say(one("link"), lost ? words.no_link : `${words.live} ${told(silent)}`);
    for (const t of Object.values(tiles)) {
      const age = t.old + since(t.at), known = t.old !== Infinity, stale = !known || age > t.stale;
      t.tile.classList.toggle("is-stale", stale || lost || !synced);
      t.tile.classList.toggle("is-aging", !stale && age > t.aging);
      say(t.value, lost ? words.no_link : stale || !synced ? "--" : t.said);
      say(t.age, !known ? words.none : `${told(age)}${stale ? ` ${words.no_data}` : ""}`);
    }
    for (const row of all("[data-alarm]")) {
      row.at = row.at || stamp();
      say(row.querySelector(".alarm-time"), clock(+row.dataset.forMs + since(row.at)));
      const left = +row.dataset.silentMs - since(row.at);
      say(row.querySelector(".alarm-silence"), left > 0 ? clock(left) : "");
      row.classList.toggle("is-sounding", left <= 0);
    }
    for (const node of all("[data-number]")) node.classList.toggle("is-hidden", lost || !synced);
    ring(lost);
  };

  /* -- sound: pulses by priority, made here; a page that is not allowed to sound says so ---------- */
  let audio = null, next = 0;
  const pulses = { high: [0, .2, .4, .8, 1, 2, 2.2, 2.4, 2.8, 3], medium: [0, .25, .5], low: [0] };
  const every = { high: 10000, medium: 15000, low: 30000 };
  const play = (priority) => {
    for (const delay of pulses[priority]) {
      const tone = audio.createOscillator(), gain = audio.createGain(), at = audio.currentTime + delay;
      tone.frequency.value = { high: 880, medium: 660, low: 440 }[priority];
      gain.gain.setValueAtTime(.0001, at);
      gain.gain.exponentialRampToValueAtTime(.2, at + .02);
      gain.gain.exponentialRampToValueAtTime(.0001, at + .15);
      tone.connect(gain).connect(audio.destination);
      tone.start(at);
      tone.stop(at + .16);
    }
    data.tones = +(data.tones || 0) + 1;
  };
  const ring = (lost) => {
    const on = audio && audio.state === "running";
    say(one("sound"), on ? words.sound_on : words.sound_off);
    const rows = all(".is-sounding").map((row) => row.dataset.priority);
    const loudest = ["high", "medium", "low"].find((p) => rows.includes(p)) || (lost ? "low" : null);
    if (!loudest) next = 0;
    else if (on && performance.now() >= next) {
      play(loudest);
      next = performance.now() + every[loudest];
    }
  };
  const sound = one("sound");
  if (sound) sound.addEventListener("click", async () => {
    audio = audio || new AudioContext();
    await audio.resume();
    play("low");
    draw();
  });

  /* -- what the server says ------------------------------------------------------------------------ */
  const reading = (seen) => {
    const t = tiles[seen.vital];
    if (!t) return;
    Object.assign(t, { said: seen.text, old: seen.age_ms === null ? Infinity : seen.age_ms, at: stamp() });
    say(t.tile.querySelector(".tile-range"), seen.range);
  };
  const alarms = (news) => {
    const panel = one("alarms"), before = new Set(all("[data-alarm]").map((r) => r.dataset.news));
    panel.innerHTML = news.html;
    const fresh = all("[data-alarm]").filter((r) => !before.has(r.dataset.news));
    if (fresh.length) {
      one("announce").textContent = fresh.map((r) => r.dataset.said).join(". ");
      next = 0;
    }
    document.title = `${panel.dataset.title}${news.marks ? ` ${news.marks}` : ""}`;
  };
  let later = null;  /* a button that is held is not redrawn under the hand */
  const state = (news) => {
    if (held) { later = news; return; }
    const read = all(".log[open]").length;
    one("state").innerHTML = news.html;
    if (read) all(".log").forEach((log) => { log.open = true; });
    document.documentElement.dataset.theme = news.theme;
  };
  const took = (event) => {
    heard = stamp();
    if (event.lastEventId) seq = event.lastEventId;
    return JSON.parse(event.data);
  };
  const on = {
    snapshot: (news) => {
      news.tiles.forEach(reading);
      alarms(news.alarms);
      state(news.session);
      synced = true;
      chartDue = true;
    },
    observation: (news) => { reading(news); chartDue = true; },
    alarm: alarms,
    session: (news) => { state(news); chartDue = true; },
    beat: (news) => {
      say(one("given"), decimals(news.given));
      say(one("elapsed"), news.elapsed);
      due(news.elapsed);
      root.classList.toggle("no-watch", news.watch_ms === null || news.watch_ms > +data.watchMs);
    },
  };
  const connect = () => {
    if (source) source.close();
    source = new EventSource(`${data.stream}?after=${synced ? seq : ""}`);
    for (const [name, act] of Object.entries(on)) {
      source.addEventListener(name, (event) => { act(took(event)); draw(); });
    }
    source.addEventListener("over", () => { source.close(); source = null; location.reload(); });
  };
  const resync = () => { synced = false; draw(); connect(); };
  document.addEventListener("visibilitychange", () => { if (!document.hidden) resync(); });
  addEventListener("pageshow", (event) => { if (event.persisted) resync(); });
  addEventListener("pagehide", () => { if (source) source.close(); });

  /* -- the scores of this set come first; nothing moves in a form that somebody is filling in ------- */
  const scores = document.querySelector("[data-scores]");
  const numbers = (text) => text.split(" ").filter(Boolean).map(Number);
  const scored = () => Object.fromEntries((document.querySelector("[data-scored]")?.dataset.scored || "")
    .split(" ").filter(Boolean).map((pair) => pair.split(":")));
  /* what was scored is said at once, on every tablet; rows move only when nobody is filling them in */
  const due = (elapsed) => {
    if (!scores) return;
    const minute = parseInt(elapsed.slice(2), 10), begun = !Number.isNaN(minute), last = scored();
    const rows = all(".score", scores), minutes = rows.flatMap((row) => numbers(row.dataset.minutes));
    const set = Math.max(0, ...minutes.filter((at) => at <= minute));
    const still = scores.querySelector(":checked, :focus");
    for (const row of rows) {
      const [from, to] = numbers(row.dataset.window), atSet = numbers(row.dataset.minutes).includes(set);
      const here = row.parentElement.matches("[data-now]");
      const asked = begun ? atSet || (from <= minute && minute <= to) : here;
      const at = last[row.dataset.score];
      row.classList.toggle("is-done", asked && at !== undefined && (!begun || +at >= (atSet ? set : from)));
      const place = scores.querySelector(asked ? "[data-now]" : "[data-later]");
      if (!still && row.parentElement !== place) place.append(row);
    }
    const now = all("[data-now] .score", scores), done = now.length && now.every((row) => row.matches(".is-done"));
    say(document.querySelector("[data-set]"), `${begun ? `T+${set}` : words.before}${done ? ` · ✓ ${words.done}` : ""}`);
  };

  /* -- forms: sent without leaving the page, so that the sound stays allowed ------------------------ */
  const send = async (form, button) => {
    const body = new FormData(form), errors = form.querySelector(".form-errors");
    if (button && button.name) body.set(button.name, button.value);
    if (form.sending) return;
    form.sending = true;
    try {
      const reply = await fetch(form.action, { method: "POST", body, headers: { "X-Live": "1" } });
      if (reply.redirected) location.assign(reply.url);
      const text = await reply.text();
      say(errors, reply.ok ? "" : text);
      if (reply.ok) {
        form.reset();
        const key = form.querySelector("[name=key]");
        if (key) key.value = reply.headers.get("X-Key");
        say(form.querySelector(".form-saved"), reply.headers.get("X-Saved") || "");
      }
    } catch {
      say(errors, words.not_sent);
    } finally {
      form.sending = false;
    }
  };
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.matches("[data-live]")) return;
    event.preventDefault();
    send(form, event.submitter);
  });

  /* -- STOP is held for a second; the buttons are redrawn with the state, so the page listens -------- */
  const hold = (event) => event.target.closest && event.target.closest("[data-hold-ms]");
  const release = () => {
    clearTimeout(timer);
    if (held) held.classList.remove("is-held");
    held = timer = null;
    if (later) { const news = later; later = null; state(news); }
  };
  const press = (button) => {
    if (held) return;
    held = button;
    button.classList.add("is-held");
    timer = setTimeout(() => { button.form.requestSubmit(); release(); }, +button.dataset.holdMs);
  };
  const keys = (event) => event.key === "Enter" || event.key === " ";
  document.addEventListener("pointerdown", (event) => { if (hold(event)) press(hold(event)); });
  document.addEventListener("keydown", (event) => {
    if (hold(event) && keys(event)) { event.preventDefault(); press(hold(event)); }
  });
  for (const name of ["pointerup", "pointercancel", "keyup", "focusout"]) document.addEventListener(name, release);
  document.addEventListener("click", (event) => { if (hold(event)) event.preventDefault(); });
  document.addEventListener("contextmenu", (event) => { if (hold(event)) event.preventDefault(); });

  /* -- the trend is drawn as high as its frame, where the page is one screen: all of it is seen ----- */
  const oneScreen = matchMedia("(min-width: 901px) and (min-height: 640px)");
  const frame = () => {
    const style = getComputedStyle(one("chart"));
    return Math.floor(one("chart").clientHeight - parseFloat(style.paddingTop) - parseFloat(style.paddingBottom));
  };
  let drawing = false;
  const redraw = async () => {
    if (!chartDue || drawing || document.hidden || !one("chart")) return;
    chartDue = false;
    drawing = true;
    try {
      const reply = await fetch(one("chart").dataset.url + (oneScreen.matches ? `?height=${frame()}` : ""));
      const open = all("details[open]", one("chart")).length;
      if (reply.ok) one("chart").innerHTML = await reply.text();
      if (open) all("details", one("chart")).forEach((table) => { table.open = true; });
    } catch { chartDue = true; }
    drawing = false;
  };
  let seen = 0;
  if (one("chart")) new ResizeObserver(() => {
    const high = frame();
    if (!oneScreen.matches || high === seen) return;
    seen = high;
    chartDue = true;
    redraw();
  }).observe(one("chart"));
  setInterval(draw, 250);
  setInterval(redraw, 5000);
  draw();
  connect();
})();

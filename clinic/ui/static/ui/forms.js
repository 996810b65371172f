/* Forms and keys. Every page works without this file: it locks a form that was sent, leads to what
   is wrong, and listens to the keyboard. No single key starts, stops or discharges anything. */
(() => {
  "use strict";
  /* -- a double click sends once; a page that comes back from the cache may be sent again --------- */
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.matches("[data-once]")) return;
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "1";
    form.setAttribute("aria-busy", "true");
    setTimeout(() => { if (event.defaultPrevented) free(form); }, 0);
  });
  const free = (form) => { delete form.dataset.sent; form.removeAttribute("aria-busy"); };
  addEventListener("pageshow", (event) => {
    if (event.persisted) document.querySelectorAll("[data-once]").forEach(free);
  });

  /* -- what is wrong comes first ------------------------------------------------------------------- */
  const summary = document.querySelector("[data-error-summary]");
  if (summary) {
    document.title = `${summary.dataset.problem}: ${document.title}`;
    summary.focus();
    for (let up = summary.parentElement; up; up = up.parentElement) if (up.matches("details")) up.open = true;
  }
  document.addEventListener("click", (event) => {
    const link = event.target.closest && event.target.closest(".error-summary a[href^='#']");
    const place = link && document.getElementById(link.hash.slice(1));
    if (!place) return;
    event.preventDefault();
    const field = place.matches("fieldset") ? place.querySelector("input") : place;
    place.scrollIntoView({ block: "center" });
    field.focus({ preventScroll: true });
  });

  /* -- keys ----------------------------------------------------------------------------------------- */
  const keys = document.querySelector("[data-keys]"), offKey = "afterglow-keys-off";
  const off = keys && keys.querySelector("[data-keys-off]");
  const isOff = () => { try { return localStorage.getItem(offKey) === "1"; } catch { return false; } };
  if (off) {
    off.checked = isOff();
    off.addEventListener("change", () => {
      try { localStorage.setItem(offKey, off.checked ? "1" : "0"); } catch { /* until the next page */ }
    });
  }
  const places = { t: "/today/", p: "/today/patients", b: "/sessions/board" };
  let led = 0;
  const go = (key) => {
    const link = document.querySelector(`.top-nav a[href='${places[key]}']`);
    if (link) link.click();
    return Boolean(link);
  };
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") document.querySelectorAll(".menu[open], .log[open]").forEach((each) => { each.open = false; });
    const typing = event.target.closest("input, select, textarea, [contenteditable]");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || isOff()) return;
    const search = document.querySelector("[data-search]");
    if (event.key === "?" && keys && !keys.open) keys.showModal();
    else if (event.key === "/" && search) search.focus();
    else if (event.key === "g") { led = performance.now(); return; }
    else if (performance.now() - led < 1500 && places[event.key]) { if (!go(event.key)) return; }
    else if (event.key === "d") document.dispatchEvent(new Event("afterglow:theme"));
    else return;
    led = 0;
    event.preventDefault();
  });
})();

/* Light or dim, remembered on this device. A page whose theme follows the room is left alone. */
(() => {
  "use strict";
  const page = document.documentElement, key = "afterglow-theme";
  const fixed = page.hasAttribute("data-theme-fixed");
  let kept = null;
  try { kept = localStorage.getItem(key); } catch { /* storage refused: the page keeps its own */ }
  if (!fixed && (kept === "day" || kept === "dim")) page.dataset.theme = kept;
  const turn = () => {
    if (fixed) return;
    page.dataset.theme = page.dataset.theme === "dim" ? "day" : "dim";
    try { localStorage.setItem(key, page.dataset.theme); } catch { /* remembered until the next page */ }
    say();
  };
  const say = () => {
    const button = document.querySelector("[data-theme-switch]");
    if (!button || fixed) return;
    button.hidden = false;
    button.textContent = page.dataset.theme === "dim" ? button.dataset.day : button.dataset.dim;
  };
  document.addEventListener("DOMContentLoaded", () => {
    const button = document.querySelector("[data-theme-switch]");
    if (button) button.addEventListener("click", turn);
    say();
  });
  document.addEventListener("afterglow:theme", turn);
})();

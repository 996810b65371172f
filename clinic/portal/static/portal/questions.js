// One question a screen: the answer is the button. Without script the form is one long page.
"use strict";
(() => {
  const form = document.querySelector("[data-questions]");
  if (!form) return;
  const pages = [...form.querySelectorAll("[data-question]")];
  const progress = form.querySelector("[data-progress]");
  const words = document.querySelector("[data-words]").dataset.progressText;
  const back = form.querySelector("[data-back]");
  const skip = form.querySelector("[data-skip]");
  const send = form.querySelector("[data-send]");
  const key = "questions:" + location.pathname;
  let at = 0, moving = null;

  const kept = JSON.parse(sessionStorage.getItem(key) || "{}");
  for (const [name, value] of Object.entries(kept.answers || {})) {
    const radio = form.querySelector(`input[name="${CSS.escape(name)}"][value="${CSS.escape(value)}"]`);
    if (radio) radio.checked = true;
  }
  at = Math.min(kept.at || 0, pages.length);

  function keep() {
    const answers = {};
    for (const radio of form.querySelectorAll("input[type=radio]:checked")) answers[radio.name] = radio.value;
    sessionStorage.setItem(key, JSON.stringify({ at, answers }));
  }

  function show(focus) {
    const last = at >= pages.length;
    pages.forEach((page, i) => { page.hidden = i !== at; });
    progress.hidden = last;
    progress.textContent = words.replace("{n}", String(at + 1)).replace("{count}", String(pages.length));
    back.hidden = at === 0;
    skip.hidden = last;
    send.hidden = !last;
    if (focus) (last ? send : pages[at].querySelector("input:checked, input")).focus();
    keep();
  }

  function go(step) { at = Math.max(0, Math.min(pages.length, at + step)); show(true); }

  form.classList.add("is-paged");
  // A pointer's choice moves on; arrow keys only move among the answers. One tap is two clicks, the
  // label's and its radio's: the second must not pass the next question by.
  form.addEventListener("click", (event) => {
    const choice = event.target.closest("label.choice");
    if (!choice || event.detail === 0 || moving) return;
    moving = setTimeout(() => { moving = null; go(1); }, 120);
  });
  form.addEventListener("change", keep);
  back.addEventListener("click", () => go(-1));
  skip.addEventListener("click", () => go(1));
  form.addEventListener("submit", () => sessionStorage.removeItem(key));
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Backspace") { event.preventDefault(); go(-1); return; }
    if (at >= pages.length || !/^[0-9]$/.test(event.key)) return;
    const radio = pages[at].querySelector(`input[value="${event.key}"]`);
    if (radio) { radio.checked = true; keep(); go(1); }
  });
  show(false);
})();

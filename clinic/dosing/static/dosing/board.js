/* The board asks every two seconds. When nothing comes for 8 s, no number is shown. */
(() => {
  "use strict";
  const board = document.getElementById("board");
  let heard = [performance.now(), Date.now()];
  document.body.addEventListener("htmx:afterOnLoad", (event) => {
    if (event.detail.xhr.status === 200) heard = [performance.now(), Date.now()];
  });
  setInterval(() => {
    const silent = Math.max(performance.now() - heard[0], Date.now() - heard[1]);
    document.body.classList.toggle("no-link", silent > +board.dataset.lostMs);
  }, 250);
})();

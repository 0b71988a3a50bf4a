// Loaded before the first paint, so that the page does not flash in the wrong colours.
// Without a choice of the reader the system decides (see color-scheme in chat.css).
(() => {
  const stored = localStorage.getItem("maap.theme");
  if (stored === "light" || stored === "dark") document.documentElement.dataset.theme = stored;
})();

// Asks for the API key.

const byId = (id) => document.getElementById(id);

/** @returns {Promise<string|null>} the key, or null when the reader cancels. */
export function askForKey({ wrong, current = "" }) {
  const dialog = byId("key-dialog");
  const input = byId("key-input");
  const error = byId("key-error");
  error.hidden = !wrong;
  error.textContent = wrong ? "The server did not accept that key. It may be mistyped, expired or revoked." : "";
  input.value = current;

  return new Promise((resolve) => {
    let key = null;
    const listening = new AbortController();
    const on = (element, event, handler) => element.addEventListener(event, handler, { signal: listening.signal });
    on(byId("key-form"), "submit", () => { key = input.value.trim() || null; });
    on(byId("key-cancel"), "click", () => dialog.close());
    on(dialog, "close", () => {
      listening.abort();
      input.value = "";
      resolve(key);
    });
    dialog.showModal();
    input.select();
  });
}

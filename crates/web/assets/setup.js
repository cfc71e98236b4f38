// What the pages of /setup do better with JavaScript; each does without.
"use strict";
// The code in the link: it goes to the server in the body of a request, never in an address, and leaves the history.
const enter = () => {
  const form = document.querySelector("form[data-code]"), code = decodeURIComponent(location.hash.slice(1));
  if (!form || !code) return;
  history.replaceState(null, "", location.pathname);
  form.elements.code.value = code;
  form.requestSubmit();
};
enter();
// Another link that is opened where one failed loads nothing anew.
addEventListener("hashchange", enter);
// Nothing is sent twice by a second click. The value of the button that was used is in the request already.
document.addEventListener("submit", (event) => {
  if (event.target.dataset.sent) event.preventDefault();
  event.target.dataset.sent = "yes";
});
addEventListener("pageshow", () => { for (const one of document.forms) delete one.dataset.sent; });
// A file is read into the field beside it.
for (const place of document.querySelectorAll("[data-file]")) {
  place.hidden = false;
  place.querySelector("input").addEventListener("change", async (event) => {
    const file = event.target.files[0];
    if (file) document.getElementById(place.dataset.file).value = await file.text();
  });
}
// Parts that the server looks at again by itself.
for (const part of document.querySelectorAll("[data-live]")) {
  new EventSource(part.dataset.live).onmessage = (event) => {
    // What somebody is typing or ticking there stays.
    const kept = [...part.querySelectorAll("input[id]")], at = document.activeElement?.id;
    part.innerHTML = event.data;
    for (const { id, type, value, checked } of kept) {
      const now = document.getElementById(id);
      if (now && type === "checkbox") now.checked = checked;
      else if (now) now.value = value;
    }
    if (at && document.activeElement === document.body) document.getElementById(at)?.focus();
  };
}
// Copying by a button; without it the text is selected by one click.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(button.dataset.copy);
  const before = button.textContent;
  button.textContent = button.dataset.copied;
  setTimeout(() => { button.textContent = before; }, 2000);
});

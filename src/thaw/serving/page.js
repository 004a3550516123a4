"use strict";
// Without this script the form works with its button; with it a photo that is chosen or dropped is sent at once.
const form = document.querySelector("form");
const input = document.getElementById("photo");
const status = document.getElementById("status");

function say(text, fault = false) {
  status.textContent = text;
  status.classList.toggle("fault", fault);
}

function check() {
  const [photo] = input.files;
  if (photo && photo.size > Number(form.dataset.most)) {
    say(`${photo.name} has more than ${form.dataset.megabytes} MB.`, true);
    return false;
  }
  say("Looking at the photo …");
  return true;
}

form.addEventListener("submit", (event) => {
  if (!check()) event.preventDefault();
});
input.addEventListener("change", () => {
  if (input.files.length) form.requestSubmit();
});
for (const kind of ["dragenter", "dragover"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    form.classList.add("over");
  });
}
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) form.classList.remove("over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  form.classList.remove("over");
  const files = event.dataTransfer.files;
  if (files.length !== 1) {
    say(files.length ? "One photo at a time." : "That is no file.", true);
    return;
  }
  input.files = files;
  form.requestSubmit();
});
window.addEventListener("pageshow", () => say("")); // also when the browser goes back to this page
document.getElementById("result")?.focus();

// Sorts by the first number of each cell where every filled cell has one, by text elsewhere; what is missing stays last.
for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
  const read = (row, i) => row.cells[i].textContent.trim();
  heads.forEach((head, i) => head.firstElementChild.addEventListener("click", () => {
    const way = head.getAttribute("aria-sort") === "ascending" ? -1 : 1, rows = [...body.rows];
    const filled = rows.filter(row => !["", "\u2013", "not run yet", "not run", "no number"].includes(read(row, i)));
    const number = row => parseFloat(read(row, i).replace(/,|^under /g, "").replace("\u2212", "-"));
    const numeric = filled.every(row => !Number.isNaN(number(row)));
    const compare = numeric ? (a, b) => number(a) - number(b)
      : (a, b) => read(a, i).localeCompare(read(b, i), "en", {numeric: true});
    filled.sort((a, b) => way * compare(a, b));
    body.append(...filled, ...rows.filter(row => !filled.includes(row)));
    heads.forEach(other => other.setAttribute("aria-sort", "none"));
    head.setAttribute("aria-sort", way > 0 ? "ascending" : "descending");
  }));
}
// Unfolds the section that the address names, by a link or the list of sections.
const unfold = () => {
  const section = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const folded = section && section.closest("details");
  if (folded) folded.open = true;
  if (section) section.scrollIntoView();
};
addEventListener("hashchange", unfold);
addEventListener("load", unfold);
const list = document.querySelector("nav select");
if (list) list.addEventListener("change", () => { location.hash = list.value; });

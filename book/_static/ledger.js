/* Filters the ledger's tables by paper, verdict, kind and words; sorts and filters other tables. Without this script they are plain tables. It also names the theme's buttons for screen readers. */
(function () {
  "use strict";

  function start() {
    sortable();
    filterable();
    named();
    const form = document.querySelector("form.ledger-filter");
    if (!form) return;
    const tables = Array.from(document.querySelectorAll("details.ledger-table"), (element) => ({
      element,
      paper: element.querySelector("table").dataset.paper,
      section: element.closest("section"),
      rows: rowsOf(element),
    }));
    const total = tables.reduce((sum, table) => sum + table.rows.length, 0);
    const output = form.querySelector(".ledger-count");
    const fields = ["paper", "verdict", "kind", "text"];

    function apply() {
      const wanted = Object.fromEntries(fields.map((name) => [name, form.elements[name].value]));
      const words = wanted.text.toLowerCase().split(/\s+/).filter(Boolean);
      const onlyContradictions = form.elements.contradiction.checked;
      const filtered = onlyContradictions || fields.some((name) => wanted[name]);
      const sections = new Map();
      let shown = 0;
      for (const table of tables) {
        let inTable = 0;
        for (const row of table.rows) {
          const fits =
            (!wanted.paper || wanted.paper === table.paper) &&
            (!wanted.verdict || wanted.verdict === row.element.dataset.verdict) &&
            (!wanted.kind || wanted.kind === row.element.dataset.kind) &&
            (!onlyContradictions || row.element.dataset.contradiction) &&
            words.every((word) => row.text.includes(word));
          row.element.hidden = !fits;
          inTable += fits ? 1 : 0;
        }
        table.element.hidden = inTable === 0;
        table.element.open = filtered;
        if (table.section) sections.set(table.section, (sections.get(table.section) || 0) + inTable);
        shown += inTable;
      }
      for (const [section, found] of sections) section.hidden = found === 0;
      output.textContent = shown + " of " + total + " entries";
      remember();
    }

    /* The filter is part of the address, so that a filtered ledger can be linked to. */
    function remember() {
      const query = new URLSearchParams();
      for (const name of fields) if (form.elements[name].value) query.set(name, form.elements[name].value);
      if (form.elements.contradiction.checked) query.set("contradiction", "1");
      const address = window.location.pathname + (query.size ? "?" + query : "") + window.location.hash;
      try {
        window.history.replaceState(null, "", address);
      } catch (error) {
        /* Some browsers forbid it for pages opened from a file; the filter works without. */
      }
    }

    function recall() {
      const query = new URLSearchParams(window.location.search);
      for (const name of fields) if (query.has(name)) form.elements[name].value = query.get(name);
      form.elements.contradiction.checked = query.has("contradiction");
    }

    let timer = 0;
    form.addEventListener("input", () => {
      window.clearTimeout(timer);
      timer = window.setTimeout(apply, 120);
    });
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => window.setTimeout(apply, 0));
    recall();
    form.hidden = false;
    apply();
    openTarget();
    window.addEventListener("hashchange", openTarget);
  }

  /* The entries of a table; their text is gathered at the start, because there are many. */
  function rowsOf(element) {
    const title = element.querySelector("summary").textContent.toLowerCase();
    return Array.from(element.querySelectorAll("tbody > tr"), (row) => ({
      element: row,
      text: title + " " + row.textContent.toLowerCase(),
    }));
  }

  /* A click on the head of a column sorts its table; numbers count as numbers, and a second click turns the order. */
  function sortable() {
    for (const head of document.querySelectorAll("table.sortable thead th, details.ledger-table table.ledger thead th")) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        for (const other of head.parentElement.children) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const body = head.closest("table").tBodies[0];
        const key = (row) => (row.cells[head.cellIndex] || row.cells[0]).textContent.trim();
        const order = (a, b) => key(a).localeCompare(key(b), undefined, { numeric: true });
        body.append(...Array.from(body.rows).sort((a, b) => (down ? order(b, a) : order(a, b))));
      });
    }
  }

  /* A field above a table hides the rows that lack one of its words. */
  function filterable() {
    for (const label of document.querySelectorAll("label.table-filter")) {
      const rows = Array.from(label.nextElementSibling.querySelectorAll("tbody > tr"));
      label.hidden = false;
      label.addEventListener("input", (event) => {
        const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
        for (const row of rows) row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word));
      });
    }
  }

  /* The theme's buttons: what stands on one is in its name, icons say nothing, and a fold of the contents has a name. */
  function named() {
    for (const button of document.querySelectorAll(".search-button__button"))
      if (button.textContent.trim()) button.setAttribute("aria-label", button.textContent.replace(/\s+/g, " ").trim());
    for (const icon of document.querySelectorAll(".theme-switch")) {
      icon.removeAttribute("title");
      icon.setAttribute("aria-hidden", "true");
    }
    for (const fold of document.querySelectorAll("li.has-children > details > summary"))
      fold.setAttribute("aria-label", "Pages of " + fold.parentElement.previousElementSibling.textContent.trim());
  }

  /* A link to an entry opens the table that holds it. */
  function openTarget() {
    const entry = document.getElementById(decodeURIComponent(window.location.hash.slice(1)));
    const table = entry && entry.closest("details.ledger-table");
    if (!table) return;
    table.open = true;
    entry.scrollIntoView();
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();

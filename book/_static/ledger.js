/* Filters the ledger's tables by paper, verdict, kind and words. Without this script they are plain tables. */
(function () {
  "use strict";

  function start() {
    const form = document.querySelector("form.ledger-filter");
    if (!form) return;
    const tables = Array.from(document.querySelectorAll("table.ledger"), (table) => ({
      paper: table.dataset.paper,
      section: table.closest("section"),
      groups: groupsOf(table),
    }));
    const total = tables.reduce((sum, table) => sum + count(table.groups), 0);
    const output = form.querySelector(".ledger-count");
    const fields = ["paper", "verdict", "kind", "text"];

    function apply() {
      const wanted = Object.fromEntries(fields.map((name) => [name, form.elements[name].value]));
      const words = wanted.text.toLowerCase().split(/\s+/).filter(Boolean);
      const onlyContradictions = form.elements.contradiction.checked;
      let shown = 0;
      for (const table of tables) {
        let inTable = 0;
        for (const group of table.groups) {
          let inGroup = 0;
          for (const row of group.rows) {
            const fits =
              (!wanted.paper || wanted.paper === table.paper) &&
              (!wanted.verdict || wanted.verdict === row.element.dataset.verdict) &&
              (!wanted.kind || wanted.kind === row.element.dataset.kind) &&
              (!onlyContradictions || row.element.dataset.contradiction) &&
              words.every((word) => row.text.includes(word));
            row.element.hidden = !fits;
            inGroup += fits ? 1 : 0;
          }
          group.title.hidden = inGroup === 0;
          inTable += inGroup;
        }
        if (table.section) table.section.hidden = inTable === 0;
        shown += inTable;
      }
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
  }

  /* A title row and the entries under it; their text is gathered once, because there are many. */
  function groupsOf(table) {
    const groups = [];
    for (const element of table.tBodies[0].rows) {
      if (element.classList.contains("ledger-title")) {
        groups.push({ title: element, text: element.textContent.toLowerCase(), rows: [] });
      } else {
        const group = groups[groups.length - 1];
        group.rows.push({ element, text: group.text + " " + element.textContent.toLowerCase() });
      }
    }
    return groups;
  }

  function count(groups) {
    return groups.reduce((sum, group) => sum + group.rows.length, 0);
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();

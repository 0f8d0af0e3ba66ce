// Tables that are wider than the page become smaller; much wider ones wrap first, and break words as the last resort.
width => {
  for (const table of document.querySelectorAll('article table')) {
    const room = Math.min(table.parentElement.clientWidth || width, width);
    if (table.scrollWidth > room / 0.7) table.classList.add('wrapped');
    if (table.scrollWidth <= room + 1) continue;
    table.style.zoom = Math.max(0.98 * room / table.scrollWidth, 0.6);  // letters do not shrink quite evenly
    if (table.getBoundingClientRect().width > room + 1) { table.classList.add('squeezed'); table.style.width = '100%'; }
  }
}

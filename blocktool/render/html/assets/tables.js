// Tables: ordered by a click on a heading, filtered by a box, opened and closed where they are trees.
(() => {
  const said = document.getElementById("page-said");

  // A row knows its cells, its place in the original order, and in a tree what lies in it.
  function nodesOf(table) {
    const rows = [...table.tBodies[0].rows];
    const nodes = rows.map((row, place) => ({
      row, place, level: Number(row.dataset.l || 0), children: [], parent: null,
      twist: row.querySelector(".twist"),
      text: ((row.dataset.p || "") + " " + row.textContent).toLowerCase(),
    }));
    const above = [];
    for (const node of nodes) {
      above.length = node.level;
      node.parent = above[node.level - 1] || null;
      if (node.parent) node.parent.children.push(node);
      above[node.level] = node;
      if (node.row.dataset.p) node.row.cells[0].title = node.row.dataset.p;
    }
    return nodes;
  }

  const isOpen = (node) => !node.twist || node.twist.getAttribute("aria-expanded") === "true";

  // Which rows are seen: those that match, with what they lie in, or those in what is open.
  function show(nodes, wanted) {
    let found = 0;
    if (wanted) {
      const kept = new Set();
      for (const node of nodes) {
        if (!node.text.includes(wanted)) continue;
        found += 1;
        for (let at = node; at; at = at.parent) kept.add(at);
      }
      for (const node of nodes) node.row.hidden = !kept.has(node);
    } else {
      found = nodes.length;
      for (const node of nodes) {
        node.row.hidden = Boolean(node.parent) && (node.parent.row.hidden || !isOpen(node.parent));
      }
    }
    return found;
  }

  function key(node, column) {
    const cell = node.row.cells[column];
    return "s" in cell.dataset ? Number(cell.dataset.s) : cell.textContent;
  }

  function order(nodes, body, column, way) {
    const compare = (one, two) => {
      if (!way) return one.place - two.place;
      const [a, b] = [key(one, column), key(two, column)];
      const numbers = typeof a === "number" && typeof b === "number";
      const more = numbers ? a - b : String(a).localeCompare(String(b), undefined, { numeric: true });
      return way * more || one.place - two.place;
    };
    const all = document.createDocumentFragment();
    const add = (siblings) => {
      for (const node of [...siblings].sort(compare)) {
        all.append(node.row);
        add(node.children);
      }
    };
    add(nodes.filter((node) => !node.parent));
    body.append(all);
  }

  for (const block of document.querySelectorAll(".table")) {
    const table = block.querySelector("table");
    const nodes = nodesOf(table);
    const box = block.querySelector("input[type=search]");
    const refresh = () => show(nodes, box ? box.value.trim().toLowerCase() : "");
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = head.querySelector(".sort");
      if (!button) return;
      button.addEventListener("click", () => {
        const before = head.getAttribute("aria-sort");
        const figures = nodes.length > 0 && typeof key(nodes[0], column) === "number";
        const ways = figures ? [-1, 1, 0] : [1, -1, 0];
        const now = { descending: -1, ascending: 1 }[before];
        const way = now === undefined ? ways[0] : ways[(ways.indexOf(now) + 1) % 3];
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        if (way) head.setAttribute("aria-sort", way > 0 ? "ascending" : "descending");
        order(nodes, table.tBodies[0], column, way);
      });
    });
    if (box) {
      box.addEventListener("input", () => {
        const found = refresh();
        said.textContent = `${found} of ${nodes.length} rows`;
      });
    }
    for (const node of nodes) {
      if (!node.twist) continue;
      node.twist.addEventListener("click", () => {
        node.twist.setAttribute("aria-expanded", String(!isOpen(node)));
        refresh();
      });
    }
    const turnAll = (open) => {
      for (const node of nodes) if (node.twist) node.twist.setAttribute("aria-expanded", String(open));
      refresh();
    };
    block.querySelector(".open-all")?.addEventListener("click", () => turnAll(true));
    block.querySelector(".close-all")?.addEventListener("click", () => turnAll(false));
    if (block.classList.contains("tree")) refresh();
  }

  for (const button of document.querySelectorAll(".copy")) {
    button.addEventListener("click", async () => {
      const code = button.previousElementSibling;
      try {
        await navigator.clipboard.writeText(code.textContent);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(code); // to be copied by hand
        button.textContent = "Selected";
      }
      said.textContent = button.textContent;
    });
  }
})();

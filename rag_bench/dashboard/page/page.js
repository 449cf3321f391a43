// Links, choices and keys change the address; whatever changes the address is asked of the server.
(() => {
  if (window.rbReady) return;
  window.rbReady = true;
  let focused = null, left = null;
  const place = () => location.pathname + location.search;
  const isCut = text => text.scrollHeight > text.clientHeight + 1;
  const ask = () => {
    focused = document.activeElement && document.activeElement.id;
    document.body.dataset.rbLoading = "1";
    left = location.search;
    if (window.rbShow) window.rbShow(location.search);
  };
  const go = query => {
    const url = new URL(query || location.pathname, location.href);
    if (url.pathname + url.search === place()) return;
    history.pushState(null, "", url);
    ask();
  };
  window.rbShown = () => {
    delete document.body.dataset.rbLoading;
    performance.mark("rb-shown");
    const header = document.querySelector("#rb-header-data");
    if (header) {
      document.title = header.dataset.title;
      document.documentElement.lang = header.dataset.lang;
      const here = document.querySelector(".rb-tabs [aria-current]");
      if (here) here.parentElement.scrollLeft = here.offsetLeft - 16;
    }
    document.querySelectorAll("button.rb-wholes").forEach(one => {
      one.hidden = ![...one.closest(".rb-table").querySelectorAll(".rb-long")].some(isCut);
    });
    const was = focused && document.getElementById(focused);
    if (was && document.activeElement === document.body) was.focus({preventScroll: true});
    // The address may have moved on while this was on its way.
    if (left !== null && left !== location.search) ask();
  };
  addEventListener("popstate", ask);
  // What is done is sent by an event of its own, and never by an address: no link does anything.
  document.addEventListener("submit", event => {
    const form = event.target.closest("form[data-act]");
    if (!form) return;
    event.preventDefault();
    if (document.body.dataset.rbLoading || !window.rbAct) return;
    const fields = Object.fromEntries(new FormData(form, event.submitter));
    // A field of the form may be called `dataset`, which then hides the form's own.
    const act = form.getAttribute("data-act");
    focused = null;
    left = location.search;
    document.body.dataset.rbLoading = "1";
    window.rbAct(JSON.stringify({query: location.search, act, fields}));
    scrollTo({top: 0});
  });
  document.addEventListener("click", event => {
    const link = event.target.closest("a[data-go]");
    if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey && event.button === 0) {
      event.preventDefault();
      focused = null;
      go(link.getAttribute("href"));
      if (!link.closest(".rb-keep")) scrollTo({top: 0});
      return;
    }
    const save = event.target.closest("button[data-csv]");
    if (save) saveCsv(save.dataset.csv);
    const wholes = event.target.closest("button.rb-wholes");
    if (wholes) {
      const whole = wholes.closest(".rb-table").querySelector("table").classList.toggle("rb-whole");
      wholes.setAttribute("aria-pressed", whole);
    }
    // A text that is cut on a phone is shown whole, with its row, by a touch.
    const cut = event.target.closest("td .rb-long");
    if (cut && !event.target.closest("a, button, summary")) {
      const row = cut.closest("tr");
      if (row.classList.contains("rb-whole") || isCut(cut)) {
        row.classList.toggle("rb-whole");
      }
    }
    const help = event.target.closest("details.rb-help");
    document.querySelectorAll("details.rb-help[open]").forEach(one => {
      if (one !== help) one.open = false;
    });
  });
  const apply = field => {
    const query = new URLSearchParams(location.search);
    for (const name of [field.dataset.param, ...field.dataset.resets.split(" ")]) query.delete(name);
    if (field.value) query.set(field.dataset.param, field.value);
    go("?" + query);
  };
  document.addEventListener("change", event => {
    if (event.target.matches("select[data-param], input[data-param]")) apply(event.target);
  });
  document.addEventListener("keydown", event => {
    const target = event.target.closest ? event.target : document.body;
    const field = target.closest("input, select, textarea, [contenteditable]");
    if (event.key === "Escape") {
      document.querySelectorAll("details.rb-help[open]").forEach(one => { one.open = false; });
    }
    if (field || event.ctrlKey || event.metaKey || event.altKey) return;
    const button = /^[0-9]$/.test(event.key) &&
      document.querySelector(`button[data-key="${event.key}"]`);
    if (button) { event.preventDefault(); button.click(); return; }
    const where = {ArrowRight: "next", n: "next", ArrowLeft: "prev", p: "prev"}[event.key];
    // There the arrows scroll a wide table.
    if (target.closest(".rb-scroll") && event.key.startsWith("Arrow")) return;
    const link = where && document.querySelector(`a[rel="${where}"]`);
    if (link) { event.preventDefault(); link.click(); }
  });
  const quoted = text => {
    // A spreadsheet must not take a text for a formula.
    const safe = /^[=+\-@\t\r]/.test(text) && isNaN(Number(text)) ? "'" + text : text;
    return /[",\n;]/.test(safe) ? '"' + safe.replaceAll('"', '""') + '"' : safe;
  };
  const saveCsv = name => {
    const table = document.getElementById("rb-" + name);
    const head = [...table.tHead.rows[0].cells].map(cell => {
      const copy = cell.cloneNode(true);
      copy.querySelectorAll("details").forEach(one => one.remove());
      return copy.textContent.replaceAll("\u00a0", " ").trim();
    });
    const rows = [...table.tBodies[0].rows]
      .filter(row => !row.querySelector(".rb-none"))
      .map(row => [...row.cells].map(cell => cell.dataset.value ?? cell.textContent.trim()));
    const text = [head, ...rows].map(row => row.map(quoted).join(",")).join("\r\n");
    window.rbCsv = text;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob(["\ufeff" + text], {type: "text/csv"}));
    link.download = `rag_bench-${name}.csv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  };
})();

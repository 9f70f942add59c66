"use strict";
(() => {
  const FILTERS = ["text", "state", "group", "component", "alike"];
  const HOUR = 3600e3;
  const STALE_AFTER = 36 * HOUR;
  const page = document.documentElement;
  const byId = (id) => document.getElementById(id);

  // A browser may refuse these on file:// or in a frame; the page is the same without.
  const tried = (action) => {
    try {
      return action();
    } catch {
      return null;
    }
  };

  // Before anything is drawn: which theme, and that details are opened by this script.
  page.classList.add("script");
  const kept = tried(() => localStorage.getItem("ascend-fleet-theme"));
  if (kept === "dark" || kept === "light") page.dataset.theme = kept;
  document.addEventListener("DOMContentLoaded", begin);

  function begin() {
    const data = JSON.parse(byId("data").textContent);
    beginTheme();
    showAge(new Date(data.made));
    setInterval(() => showAge(new Date(data.made)), 60e3);
    document.addEventListener("click", (event) => {
      if (event.target.matches(".copy")) copy(event.target);
    });
    addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((each) => (each.open = true)));
    if (data.nodes.length) beginMatrix(data);
  }

  function beginTheme() {
    const button = byId("theme");
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const theme = () => page.dataset.theme || (dark.matches ? "dark" : "light");
    const other = () => (theme() === "dark" ? "light" : "dark");
    const name = () => (button.textContent = other() === "dark" ? "Dark theme" : "Light theme");
    button.addEventListener("click", () => {
      page.dataset.theme = other();
      tried(() => localStorage.setItem("ascend-fleet-theme", page.dataset.theme));
      name();
    });
    dark.addEventListener("change", name);
    name();
  }

  function showAge(made) {
    const age = Date.now() - made;
    const words = duration(Math.abs(age));
    byId("age").textContent = age < -HOUR / 12 ? `(${words} ahead of this computer's clock)` : `(${words} ago)`;
    const note = byId("stale");
    note.hidden = age <= STALE_AFTER;
    if (note.hidden || note.textContent) return;
    note.textContent =
      `This report is ${words} old. Unless you opened an old one on purpose, the nightly check did not run: ` +
      "systemctl status ascend-fleet-drift.timer";
  }

  function duration(milliseconds) {
    const minutes = Math.floor(milliseconds / 60e3);
    if (minutes < 60) return `${minutes} min`;
    return minutes < 48 * 60 ? `${Math.floor(minutes / 60)} h` : `${Math.floor(minutes / 60 / 24)} days`;
  }

  async function copy(button) {
    const code = button.previousElementSibling;
    const done = await navigator.clipboard?.writeText(code.textContent).then(() => true, () => false);
    button.textContent = done || copiedBySelection(code) ? "Copied" : "Press Ctrl+C";
    setTimeout(() => (button.textContent = "Copy"), 2000);
  }

  // Where the clipboard is not offered: select the command, as a person would; it stays selected.
  function copiedBySelection(code) {
    getSelection().selectAllChildren(code);
    return tried(() => document.execCommand("copy"));
  }

  function beginMatrix(data) {
    const rows = [...document.querySelectorAll("tr.node")];
    const numbers = new Map(rows.map((row, number) => [row, number]));
    const controls = Object.fromEntries(FILTERS.map((name) => [name, byId(name)]));
    const form = document.querySelector(".filters");
    const kinds = new Map(Object.entries(data.kinds));
    const words = [];
    let wanted = {};
    let current = rows[0];
    let hashTimer = 0;

    // ---- filters ----

    function searched(number) {
      const node = data.nodes[number];
      words[number] ??= [
        node.name,
        ...node.groups.map((group) => data.groups[group]),
        ...node.findings.map((finding) => finding.problem),
        ...node.remarks,
        ...data.installed[node.installed].map(([, value]) => value),
      ].join("\n").toLowerCase();
      return words[number];
    }

    // A finding has to meet all that is asked of findings: a new one in cann is not a new one and another in cann.
    function fits(number, asked) {
      const node = data.nodes[number];
      if (wanted.group && !node.groups.some((group) => data.groups[group] === wanted.group)) return false;
      if (wanted.state && wanted.state !== "new" && node.state !== wanted.state) return false;
      if ((wanted.component || wanted.alike || wanted.state === "new") && !node.findings.some(
        (finding) =>
          (!wanted.component || finding.component === wanted.component) &&
          (!wanted.alike || finding.kind === wanted.alike) &&
          (wanted.state !== "new" || finding.new),
      )) return false;
      return asked.every((word) => searched(number).includes(word));
    }

    function show() {
      const asked = (wanted.text || "").toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      rows.forEach((row, number) => {
        const visible = fits(number, asked);
        shown += visible;
        if (row.hidden === visible) row.hidden = !visible;
        const detail = detailOf(row);
        if (detail && detail.hidden === visible) detail.hidden = !visible;
      });
      byId("shown").textContent = `${shown.toLocaleString("en")} of ${rows.length.toLocaleString("en")} ${rows.length === 1 ? "node" : "nodes"}`;
      byId("nothing").hidden = shown > 0;
      byId("reset").hidden = !Object.keys(wanted).length;
      for (const name of FILTERS) controls[name].classList.toggle("set", Boolean(wanted[name]));
      if (current.hidden) choose(rows.find((row) => !row.hidden) || current);
    }

    function want(filters) {
      wanted = Object.fromEntries(FILTERS.filter((name) => filters[name]).map((name) => [name, filters[name]]));
      const alike = controls.alike;
      alike.hidden = !wanted.alike;
      alike.textContent = wanted.alike ? `${kinds.get(wanted.alike) || "not in this report"} \u00d7` : "";
      alike.title = alike.hidden ? "" : "Remove this filter";
      show();
    }

    function controlsToWanted() {
      want({ ...Object.fromEntries(new FormData(form)), alike: wanted.alike });
      keepInAddress();
    }

    function setControls(filters) {
      for (const name of FILTERS.filter((name) => name !== "alike")) {
        controls[name].value = filters[name] || "";
        // What a select does not offer cannot be shown: it is dropped rather than filtered by in secret.
        if (controls[name].selectedIndex === -1) controls[name].value = "";
      }
      want({ ...Object.fromEntries(new FormData(form)), alike: filters.alike });
    }

    // Some browsers refuse many changes of the address in a row.
    function keepInAddress() {
      clearTimeout(hashTimer);
      hashTimer = setTimeout(() => {
        const hash = new URLSearchParams(wanted).toString();
        tried(() => history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search));
      }, 150);
    }

    function reset() {
      setControls({});
      keepInAddress();
    }

    function followAddress() {
      clearTimeout(hashTimer);
      const hash = location.hash.slice(1);
      byId("missing").hidden = true;
      if (hash.startsWith("finding-")) return showFinding(byId(hash));
      setControls(Object.fromEntries(new URLSearchParams(hash)));
      if (hash) byId("nodes").scrollIntoView();
    }

    // ---- rows ----

    const detailOf = (row) => (row.nextElementSibling?.matches(".detail") ? row.nextElementSibling : null);
    const rowOf = (place) => {
      const row = place?.closest?.("tr.node, tr.detail");
      return row?.matches(".detail") ? row.previousElementSibling : row;
    };
    const buttonOf = (row) => row.querySelector("button");

    // One row is reached by Tab, the others from it: a thousand stops help nobody.
    function choose(row) {
      buttonOf(current).tabIndex = -1;
      current = row;
      buttonOf(row).tabIndex = 0;
    }

    function make(tag, text, ...children) {
      const element = document.createElement(tag);
      if (text) element.textContent = text;
      element.append(...children);
      return element;
    }

    function listOf(pairs) {
      return make("dl", "", ...pairs.map(([term, value]) => make("div", "", make("dt", term), make("dd", value))));
    }

    function fill(row) {
      const node = data.nodes[numbers.get(row)];
      let detail = detailOf(row);
      if (!detail) {
        const cell = make("td", "", make("div"));
        cell.colSpan = row.cells.length;
        cell.firstChild.className = "opened";
        detail = make("tr", "", cell);
        detail.className = "detail";
        row.after(detail);
      }
      if (detail.querySelector(".about-node")) return detail;
      const about = make("div", "", make("h3", node.name));
      about.className = "about-node";
      const groups = node.groups.map((group) => data.groups[group]).join(", ");
      about.append(listOf([["groups", groups || "none"], ["release", node.release || "none"]]));
      const installed = data.installed[node.installed];
      about.append(make("h3", installed.length ? "Installed" : "What is installed is not known"), listOf(installed));
      detail.querySelector(".opened").append(about);
      detail.id = `node-${numbers.get(row)}`;
      buttonOf(row).setAttribute("aria-controls", detail.id);
      return detail;
    }

    function open(row, component) {
      const detail = fill(row);
      row.classList.add("open");
      detail.classList.add("open");
      buttonOf(row).setAttribute("aria-expanded", "true");
      for (const article of detail.querySelectorAll("article")) {
        article.classList.toggle("chosen", article.classList.contains(component));
      }
      detail.querySelector(".chosen")?.scrollIntoView({ block: "nearest" });
    }

    function close(row) {
      row.classList.remove("open");
      detailOf(row).classList.remove("open");
      buttonOf(row).setAttribute("aria-expanded", "false");
    }

    function showFinding(article) {
      const row = rowOf(article);
      byId("missing").hidden = Boolean(row);
      if (!row) return;
      if (row.hidden) setControls({});
      choose(row);
      open(row);
      article.scrollIntoView({ block: "center" });
      buttonOf(row).focus({ preventScroll: true });
    }

    function pressRow(event) {
      const row = event.target.closest("tr.node");
      if (!row) return;
      // Who selects text of a row does not mean to open it.
      if (!event.target.closest("button") && !getSelection().isCollapsed) return;
      choose(row);
      const cell = event.target.closest("td");
      const component = cell && data.components[cell.cellIndex - 1];
      const other = component && detailOf(row)?.querySelector(`.${component}:not(.chosen)`);
      if (row.classList.contains("open") && !other) close(row);
      else open(row, component);
    }

    function move(step) {
      const here = rowOf(document.activeElement);
      let at = numbers.get(here || current);
      // From outside, the first press goes to the row that was left.
      if (here || current.hidden) do at += step; while (rows[at]?.hidden);
      if (!rows[at]) return;
      choose(rows[at]);
      buttonOf(current).focus();
    }

    function escape() {
      if (document.activeElement === controls.text) {
        if (controls.text.value) controls.text.value = "";
        else controls.text.blur();
        return controlsToWanted();
      }
      const opened = rowOf(document.activeElement) || current;
      const row = opened.classList.contains("open") ? opened : document.querySelector("tr.node.open:not([hidden])");
      if (!row) return;
      close(row);
      choose(row);
      buttonOf(row).focus();
    }

    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const typing = event.target.matches("input, select, textarea");
      const inMatrix = rowOf(event.target);
      const action =
        event.key === "Escape" && !event.target.matches("select") ? escape
        : typing ? null
        : event.key === "/" ? () => { controls.text.focus(); controls.text.select(); }
        : event.key === "j" || (inMatrix && event.key === "ArrowDown") ? () => move(1)
        : event.key === "k" || (inMatrix && event.key === "ArrowUp") ? () => move(-1)
        : null;
      if (!action) return;
      event.preventDefault();
      action();
    });
    form.addEventListener("input", controlsToWanted);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", (event) => {
      event.preventDefault();
      reset();
      controls.text.focus();
    });
    controls.alike.addEventListener("click", () => {
      want({ ...wanted, alike: "" });
      keepInAddress();
      controls.text.focus();
    });
    document.querySelector(".matrix tbody").addEventListener("click", pressRow);
    addEventListener("hashchange", followAddress);
    // A link to where the address already leads changes no address, and is meant all the same.
    document.addEventListener("click", (event) => {
      const link = event.target.closest("a");
      if (link && link.hash === location.hash) followAddress();
    });
    choose(current);
    followAddress();
  }
})();

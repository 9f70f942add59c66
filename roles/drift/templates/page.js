"use strict";
(() => {
  const HOUR = 3600e3;
  const STALE_AFTER = 36 * HOUR;
  const byId = (id) => document.getElementById(id);

  // A browser may refuse these on file:// or in a frame; the page is the same without.
  const tried = (action) => {
    try {
      return action();
    } catch {
      return null;
    }
  };

  document.documentElement.classList.add("script");
  document.addEventListener("DOMContentLoaded", () => {
    const made = new Date(document.querySelector("time").dateTime);
    showAge(made);
    setInterval(() => showAge(made), 60e3);
    document.addEventListener("click", (event) => {
      if (event.target.matches(".copy")) copy(event.target);
    });
    openOnPaper();
    if (byId("text")) beginSearch();
    addEventListener("hashchange", followAddress);
    followAddress();
  });

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

  // For browsers whose style sheets cannot open what is closed.
  function openOnPaper() {
    let opened = [];
    addEventListener("beforeprint", () => {
      opened = [...document.querySelectorAll("details:not([open], .node.clean)")];
      for (const each of opened) each.open = true;
    });
    addEventListener("afterprint", () => {
      for (const each of opened) each.open = false;
    });
  }

  // Some browsers show what a link leads to only where nothing around it is closed.
  function followAddress() {
    const id = tried(() => decodeURIComponent(location.hash.slice(1))) || "";
    const target = byId(id);
    byId("missing").hidden = Boolean(target) || !/^(finding|cause|node)-/.test(id);
    for (let at = target?.closest("details"); at; at = at.parentElement.closest("details")) at.open = true;
    for (let at = target; at; at = at.parentElement) at.hidden = false;
    target?.scrollIntoView();
  }

  function beginSearch() {
    const text = byId("text");
    const racks = [...document.querySelectorAll(".rack")].map((rack) => ({ rack, open: rack.open, nodes: [...rack.querySelectorAll(".node")] }));
    const words = new Map();

    // What a node says, without the page's own words, and what is installed on it.
    function searched(node) {
      if (!words.has(node)) {
        const set = node.querySelector("a[href^='#installed-']");
        const parts = [...node.querySelectorAll("b, i, em, h3, dd, code, bdi"), set && byId(set.hash.slice(1))];
        words.set(node, parts.map((each) => each?.textContent).join("\n").toLowerCase());
      }
      return words.get(node);
    }

    function find() {
      const asked = text.value.toLowerCase().split(/\s+/).filter(Boolean);
      let all = 0;
      let shown = 0;
      for (const { rack, open, nodes } of racks) {
        const before = shown;
        for (const node of nodes) {
          node.hidden = !asked.every((word) => searched(node).includes(word));
          shown += !node.hidden;
        }
        all += nodes.length;
        rack.hidden = shown === before;
        rack.open = asked.length ? !rack.hidden : open;
      }
      const nodes = (number) => `${number.toLocaleString("en")} ${number === 1 ? "node" : "nodes"}`;
      byId("shown").textContent = asked.length ? `${shown.toLocaleString("en")} of ${nodes(all)}` : nodes(all);
      byId("nothing").hidden = shown > 0;
    }

    text.addEventListener("input", find);
    text.form.addEventListener("submit", (event) => {
      event.preventDefault();
      document.querySelector(".node:not([hidden]) > summary")?.focus();
    });
    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === "/" && event.target !== text) text.select();
      else if (event.key === "Escape" && text.value) text.value = "";
      else return;
      event.preventDefault();
      find();
    });
    if (text.value) find(); // what the browser kept while the page was loaded again
  }
})();

// Brings the status page up to date every few seconds. Without it the page is whole and has a link for that.
"use strict";
(() => {
  const every = 10000;
  // Whole, so without user and password: where these stand in its own address, a page may not fetch relative to itself.
  const page = location.origin + location.pathname;
  const control = document.createElement("button");
  const place = document.getElementById("live");
  const notice = document.createElement("span");
  let paused = false;
  let answered = new Date();
  let asking = false;
  let updates = 0;

  control.type = "button";
  notice.setAttribute("role", "status");

  const say = () => {
    control.textContent = paused ? "Resume updates" : "Pause updates";
  };

  // What a reader has opened, scrolled or focused stays as it is.
  const show = (fresh) => {
    const content = document.getElementById("content");
    const next = fresh.getElementById("content");
    const footer = document.querySelector("footer p");
    const nextFooter = fresh.querySelector("footer p");
    if (!content || !next || !footer || !nextFooter) throw new Error("another page answered");
    for (const open of content.querySelectorAll("details[open]")) {
      fresh.getElementById(open.id)?.setAttribute("open", "");
    }
    const focused = content.contains(document.activeElement) ? document.activeElement.id : "";
    const scrolled = [...content.querySelectorAll(".wide")].map((table) => [table.id, table.scrollLeft]);
    content.replaceChildren(...next.childNodes);
    footer.replaceWith(nextFooter);
    for (const [id, left] of scrolled) {
      const table = document.getElementById(id);
      if (table) table.scrollLeft = left;
    }
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
    document.title = fresh.title;
  };

  const selecting = () => {
    const selection = document.getSelection();
    return selection && !selection.isCollapsed && document.getElementById("content").contains(selection.anchorNode);
  };

  const refresh = async () => {
    if (paused || asking || document.hidden || selecting()) return;
    asking = true;
    try {
      const answer = await fetch(page, { cache: "no-store", signal: AbortSignal.timeout(every) });
      if (!answer.ok) throw new Error(String(answer.status));
      show(new DOMParser().parseFromString(await answer.text(), "text/html"));
      answered = new Date();
      notice.textContent = "";
      updates += 1;
      place.dataset.updates = updates;
    } catch {
      // Said once, so that a screen reader does not repeat it.
      if (!notice.textContent) {
        notice.textContent = `No answer since ${answered.toLocaleTimeString()}: what is shown may be out of date.`;
      }
    } finally {
      asking = false;
    }
  };

  control.addEventListener("click", () => {
    paused = !paused;
    say();
    refresh();
  });
  document.addEventListener("visibilitychange", refresh);
  say();
  place.append(control, notice);
  place.hidden = false;
  setInterval(refresh, every);
})();

// Cases open and close; a link to a case opens it.

const viewers = new WeakMap();

async function opened(details) {
  const text = details.querySelector("script[type='application/json']");
  if (!text || viewers.has(details)) return;
  const viewer = new Viewer(details, JSON.parse(text.textContent));
  viewers.set(details, viewer);
  try {
    await viewer.open();
  } catch (error) {
    viewer.close(); // the still pictures are there
    console.error(error);
  }
}

function openCase(details) {
  details.open = true;
  details.scrollIntoView({ block: "start" });
}

function followAddress() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target?.matches("details.case")) openCase(target);
}

if ("DecompressionStream" in window) {
  for (const details of document.querySelectorAll("details.case")) {
    details.addEventListener("toggle", (event) => {
      if (event.target !== details) return;
      if (details.open) opened(details);
      else {
        viewers.get(details)?.close();
        viewers.delete(details);
      }
    });
    if (details.open) opened(details);
  }
}
addEventListener("hashchange", followAddress);
followAddress();

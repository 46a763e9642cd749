// Details of the photo in the lightbox: at the side, or on a phone in a sheet from below.

class Panel {
  constructor(gallery, lightbox) {
    this.gallery = gallery;
    this.lightbox = lightbox;
    this.isOpen = false;
    const act = (kind, values) => lightbox.act(kind, values);
    this.chips = new Chips({ act, base: gallery.data.base, canExplain: true });
    this.facts = element("ul", { class: "facts", role: "list" });
    this.path = element("code", { dir: "ltr" });
    this.similar = element("ul", { class: "similar", role: "list" });
    this.similarPart = element(
      "section",
      { hidden: true },
      element("h3", {}, "Similar photos"),
      this.similar,
    );
    const hide = button("close", "Hide details", () => lightbox.togglePanel(), {
      className: "tool hide",
    });
    this.node = element(
      "aside",
      { class: "panel", "aria-label": "Details", hidden: true },
      element("div", { class: "panel-head" }, element("h2", {}, "Details"), hide),
      element("section", {}, element("h3", {}, "Tags"), this.chips.node),
      element("section", {}, element("h3", {}, "File"), this.facts, this.path),
      this.similarPart,
    );
    this.similar.addEventListener("click", (event) => {
      const open = event.target.closest("button");
      if (open) lightbox.openById(Number(open.dataset.id));
    });
  }

  setOpen(isOpen) {
    this.isOpen = isOpen;
    this.node.hidden = !isOpen;
    this.lightbox.info.setAttribute("aria-pressed", String(isOpen));
    this.lightbox.dialog?.classList.toggle("with-panel", isOpen);
    if (isOpen && this.details) this.showSimilar(this.details.id);
  }

  focusField() {
    this.chips.field.input.focus();
  }

  show(details, explained) {
    const isOther = details.id !== this.details?.id;
    this.details = details;
    this.chips.show(details.id, details, explained);
    this.facts.replaceChildren(...details.facts.map((fact) => element("li", {}, fact)));
    this.path.textContent = details.path;
    if (isOther) {
      this.node.scrollTop = 0;
      this.similarPart.hidden = true;
      this.similar.replaceChildren();
      this.similarOf = null;
    }
    if (this.isOpen) this.showSimilar(details.id);
  }

  // Asked for only when it can be seen: it compares the photo with all others.
  showSimilar(id) {
    if (this.similarOf === id) return;
    this.similarOf = id;
    clearTimeout(this.timer);
    this.timer = setTimeout(async () => {
      const { photos } = await fetchJson(`${this.gallery.data.base}/similar/${id}`).catch(() => ({
        photos: [],
      }));
      if (this.similarOf !== id) return;
      this.similarPart.hidden = !photos.length;
      this.similar.replaceChildren(
        ...photos.map((photo) => {
          const image = element("img", {
            src: this.gallery.thumbnail(photo),
            alt: photo.name,
            decoding: "async",
          });
          const title = `${photo.name}, ${photo.caption}`;
          const open = element(
            "button",
            { type: "button", "data-id": photo.id, title, "aria-label": title },
            image,
          );
          return element("li", {}, open);
        }),
      );
    }, 200);
  }
}

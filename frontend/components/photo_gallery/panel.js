// Details of the photo in the lightbox: at the side, or on a phone in a sheet from below.

class Panel {
  constructor(gallery, lightbox) {
    this.gallery = gallery;
    this.lightbox = lightbox;
    this.isOpen = false;
    const act = (kind, values) => lightbox.act(kind, values);
    const { base, actions } = gallery.data;
    this.chips = new Chips({ act, base, isEditable: Boolean(actions) });
    this.rating = new Rating((stars) => lightbox.rate(stars));
    this.caption = new Caption({
      onChange: (caption) => lightbox.act("caption", { caption }),
      onLeave: () => lightbox.stage.focus(),
    });
    for (const each of [this.rating, this.caption]) each.node.hidden = !actions;
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
      this.rating.node,
      element("section", {}, element("h3", {}, "Tags"), this.chips.node),
      this.caption.node,
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
    this.rating.show(details.rating);
    this.caption.show(details.id, details.caption);
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

// Stars from 1 to 5; none is no rating.
class Rating {
  constructor(onRate) {
    this.stars = Array.from({ length: STARS }, (_, number) =>
      button("star", `${number + 1} of ${STARS} stars`, () => onRate(number + 1), {
        className: "star",
        "aria-pressed": "false",
      }),
    );
    this.stars.at(-1).title = `${STARS} of ${STARS} stars: a favourite`;
    this.node = element("div", { class: "stars", role: "group", "aria-label": "Rating" });
    this.node.append(...this.stars);
  }

  show(rating) {
    this.stars.forEach((star, number) =>
      star.setAttribute("aria-pressed", String(number < rating)),
    );
  }
}

// What a person writes of the photo: saved by Enter, or when the field is left.
class Caption {
  constructor({ onChange, onLeave }) {
    this.node = element("textarea", {
      class: "caption",
      rows: "1",
      maxlength: "2000",
      dir: "auto",
      placeholder: "Add a caption",
      "aria-label": "Caption",
    });
    Object.assign(this, { onChange, onLeave });
    this.node.addEventListener("change", () => this.save());
    this.node.addEventListener("keydown", (event) => this.onKeyDown(event));
  }

  // What is typed and not saved yet stays.
  show(id, caption) {
    if (id === this.id && caption === this.caption) return;
    Object.assign(this, { id, caption });
    this.node.value = caption;
  }

  save() {
    const caption = this.node.value.trim();
    if (caption === this.caption) return;
    this.caption = caption;
    this.onChange(caption);
  }

  onKeyDown(event) {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      this.onLeave();
    } else if (event.key === "Escape") {
      event.preventDefault();
      event.stopPropagation();
      this.node.value = this.caption;
      this.onLeave();
    }
  }
}

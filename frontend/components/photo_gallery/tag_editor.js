// The tags of one photo as chips, on a page without the gallery.

const editors = new WeakMap(); // by parent element

export default function ({ parentElement, data, setTriggerValue }) {
  if (!editors.has(parentElement)) editors.set(parentElement, new Editor(parentElement, data));
  editors.get(parentElement).update(data, setTriggerValue);
  return () => editors.delete(parentElement);
}

class Editor {
  constructor(parent, data) {
    this.queue = new ActionQueue();
    const act = (kind, values) => this.act(kind, values);
    this.chips = new Chips({ act, base: data.base });
    parent.querySelector(".editor").replaceChildren(this.chips.node);
  }

  update(data, setTriggerValue) {
    this.setTriggerValue = setTriggerValue;
    this.queue.acknowledge(data.done);
    if (this.queue.actions.length) return; // what is shown already is ahead of Python
    this.details = data;
    this.chips.show(data.photo, data, data.explained);
  }

  act(kind, values) {
    this.details = foresee(this.details, kind, values);
    this.chips.show(this.details.photo, this.details, this.details.explained);
    this.queue.send({ kind, ...values }, this.setTriggerValue);
  }
}

// A field that adds tags, on a page without the gallery. Enter in the empty field leaves it, so that
// the page's keys work again.

const fields = new WeakMap(); // by parent element

export default function ({ parentElement, data, setTriggerValue }) {
  if (!fields.has(parentElement)) fields.set(parentElement, new Field(parentElement, data));
  fields.get(parentElement).update(data, setTriggerValue);
  return () => fields.delete(parentElement);
}

class Field {
  constructor(parent, data) {
    this.queue = new ActionQueue();
    const send = (label) => this.queue.send({ kind: "tag", label }, this.setTriggerValue);
    const { input, node } = new TagField(data.base, data.title, send);
    input.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !input.value) input.blur();
    });
    parent.querySelector(".editor").replaceChildren(node);
  }

  update(data, setTriggerValue) {
    this.setTriggerValue = setTriggerValue;
    this.queue.acknowledge(data.done);
  }
}

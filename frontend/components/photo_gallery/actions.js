// What a person asked for and Python has not done yet. All of it is sent each time, so that nothing
// is lost if Streamlit drops a message; Python does each action once, by its number.

class ActionQueue {
  constructor() {
    this.token = crypto.getRandomValues(new Uint32Array(2)).join("-"); // names this page's actions
    this.actions = [];
    this.number = 0; // of the last action
  }

  send(action, setTriggerValue) {
    this.number += 1;
    this.actions.push({ ...action, number: this.number });
    setTriggerValue("actions", { token: this.token, actions: this.actions });
  }

  // `done` is what Python's data say of the last action that it did.
  acknowledge(done) {
    if (done?.token !== this.token) return;
    this.actions = this.actions.filter((action) => action.number > done.number);
  }
}

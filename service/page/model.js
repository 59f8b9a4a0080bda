// Model: how far to trust it, in words, from what the model file says of itself.
import { h, percent } from "./dom.js";

export function about({ name, version, thresholds, metrics }) {
  const of = (share) => `${Math.round(1000 * share)} of 1,000`;
  const { test_real_called_fake: alarm, test_fake_called_real: missed, test_uncertain: open } = metrics;
  const rates = [alarm, missed, open].every((rate) => typeof rate === "number");
  return [
    h("h2", {}, "How far to trust it"),
    rates ? h("p", {}, `On test pictures of the kinds that it learned from, it called ${of(alarm)} real photos AI-generated, let ${of(missed)} generated ones pass as real, and gave no verdict on ${of(open)} of both. On other kinds of pictures it errs more often.`) : null,
    h("p", {}, `It says AI-generated from an estimated chance of ${percent(thresholds.fake)}, real up to ${percent(thresholds.real)}, and in between that it is not sure. What was made by generators that it has not seen often passes as real.`),
    h("p", {}, `The model is ${name} ${version}.`),
  ].filter(Boolean);
}

// SPDX-License-Identifier: Apache-2.0
// The part of d3 that the page uses, with d3-flame-graph: becomes the global d3 in d3.js.
export { ticks } from "d3-array";
export { axisBottom } from "d3-axis";
export { default as flamegraph } from "d3-flame-graph";
export { scaleLinear, scaleLog } from "d3-scale";
export { create, select } from "d3-selection";

// Makes of Prometheus' answers the data frames that Grafana's components draw.
//
// In: series, the panel that asked. Out: frames whose fields know how to show their values.
// Counterparts: viewer.jsx; grafana/looking.py, which asked.
import {
  FieldType,
  getDisplayProcessor,
  getFieldDisplayName,
  getMinMaxAndDelta,
  standardTransformers,
  standardTransformersRegistry,
  toDataFrame,
  transformDataFrame,
} from "@grafana/data";
import { lastValueFrom } from "rxjs";

// Some are there by two names.
const TRANSFORMERS = new Map(Object.values(standardTransformers).map((each) => [each.id, each]));
standardTransformersRegistry.setInit(() =>
  [...TRANSFORMERS].map(([id, each]) => ({ id, name: each.name, transformation: each })),
);

// A frame for each series, named by the legend.
export function seriesFrames(panel, answers, stepMs, theme) {
  const frames = [];
  for (const target of panel.targets) {
    for (const series of answers[target.refId] ?? []) {
      const name = legend(target.legendFormat, series.metric);
      frames.push(
        toDataFrame({
          refId: target.refId,
          name,
          fields: [
            timeField(series.values.map(([seconds]) => seconds * 1000), stepMs),
            valueField("Value", series.values, series.metric, { displayNameFromDS: name }),
          ],
        }),
      );
    }
  }
  return shown(frames, panel, theme);
}

// One frame for each query with its labels as columns, joined as the panel's transformations say.
export async function tableFrames(panel, answers, theme) {
  const frames = panel.targets.map((target) => {
    const series = answers[target.refId] ?? [];
    const labels = [...new Set(series.flatMap((each) => Object.keys(each.metric)))];
    return toDataFrame({
      refId: target.refId,
      fields: [
        timeField(series.map((each) => each.values[0][0] * 1000)),
        ...labels.map((label) => ({
          name: label,
          type: FieldType.string,
          config: {},
          values: series.map((each) => each.metric[label] ?? ""),
        })),
        valueField(`Value #${target.refId}`, series.map((each) => each.values[0])),
      ],
    });
  });
  return shown(await lastValueFrom(transformDataFrame(panel.transformations, frames)), panel, theme);
}

function timeField(values, interval) {
  return { name: "Time", type: FieldType.time, config: { interval }, values };
}

function valueField(name, values, labels, config = {}) {
  const figures = values.map(([, text]) => (text === "NaN" ? null : Number(text)));
  return { name, type: FieldType.number, labels, config, values: figures };
}

function legend(format, labels) {
  if (format === "__auto") {
    return Object.values(labels).join(", ");
  }
  return format.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, label) => labels[label] ?? "");
}

// The panel's settings, and those that it has for single columns, given to each field.
function shown(frames, panel, theme) {
  const { defaults, overrides } = panel.fieldConfig;
  let seriesIndex = 0;
  for (const frame of frames) {
    for (const field of frame.fields) {
      const own = { ...field.config };
      if (field.type === FieldType.number) {
        const custom = { ...defaults.custom };
        field.config = { color: { mode: "palette-classic" }, ...defaults, custom, ...own };
        const found = getMinMaxAndDelta(field);
        const min = field.config.min ?? found.min;
        const range = { min, max: found.max, delta: found.max - min };
        field.state = { ...field.state, seriesIndex: seriesIndex++, range };
      }
      for (const { matcher, properties } of overrides) {
        if (matcher.id === "byName" && matcher.options === getFieldDisplayName(field, frame, frames)) {
          properties.forEach((each) => override(field.config, each));
        }
      }
      field.display = getDisplayProcessor({ field, theme, timeZone: "utc" });
    }
  }
  return frames;
}

function override(config, { id, value }) {
  if (id.startsWith("custom.")) {
    config.custom = { ...config.custom, [id.slice("custom.".length)]: value };
  } else {
    config[id] = value;
    if (id === "thresholds") {
      config.color = { mode: "thresholds" };
    }
  }
}

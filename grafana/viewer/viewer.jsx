// Draws a dashboard with Grafana's own components, without a Grafana.
//
// In: `window.look`: the dashboard's JSON, the answers of Prometheus by panel and query, the span of
// time. Out: the page; `data-drawn` at its body says when it is complete. Counterpart:
// grafana/looking.py, which takes the picture. What Grafana's server and its application do (variables,
// the layout, data frames) is the business of this page and of looking.py.
import {
  createTheme,
  dateTime,
  EventBusSrv,
  getFieldDisplayValues,
  renderMarkdown,
  ThemeContext,
  VizOrientation,
} from "@grafana/data";
import { BigValue, GlobalStyles, PanelChrome, PanelContextProvider, Table, TimeSeries, VizRepeater } from "@grafana/ui";
import { useEffect, useState } from "react";
import { createRoot } from "react-dom/client";

import { seriesFrames, tableFrames } from "./frames.js";

const { dashboard, answers, beginMs, endMs, stepMs, chosen } = window.look;
const theme = createTheme({ colors: { mode: "dark" } });
const COLUMNS = 24;
const ROW_PX = 38;
const GAP_PX = 8;
const HEAD_PX = 56;
const WIDTH_PX = document.documentElement.clientWidth;
const timeRange = {
  from: dateTime(beginMs),
  to: dateTime(endMs),
  raw: { from: dateTime(beginMs), to: dateTime(endMs) },
};

function Graph({ panel, width, height }) {
  const frames = seriesFrames(panel, answers[panel.id], stepMs, theme);
  if (!frames.length) {
    return <NoData />;
  }
  return (
    <TimeSeries
      frames={frames}
      timeRange={timeRange}
      timeZone="utc"
      width={width}
      height={height}
      legend={panel.options.legend}
      structureRev={1}
    />
  );
}

function Numbers({ panel, width, height }) {
  const frames = seriesFrames(panel, answers[panel.id], stepMs, theme);
  if (!frames.length) {
    return <NoData />;
  }
  const { graphMode, colorMode, textMode, reduceOptions, wideLayout } = panel.options;
  const values = getFieldDisplayValues({
    fieldConfig: panel.fieldConfig,
    reduceOptions,
    replaceVariables: (text) => text,
    theme,
    data: frames,
    timeZone: "utc",
    sparkline: graphMode !== "none",
  });
  return (
    <VizRepeater
      getValues={() => values}
      source={frames}
      width={width}
      height={height}
      orientation={VizOrientation.Auto}
      itemSpacing={3}
      autoGrid
      renderCounter={1}
      renderValue={({ value, width, height, count }) => (
        <BigValue
          value={textMode === "value" ? { ...value.display, title: undefined } : value.display}
          sparkline={value.sparkline}
          colorMode={colorMode}
          graphMode={graphMode}
          textMode={textMode}
          wideLayout={wideLayout}
          width={width}
          height={height}
          count={count}
          theme={theme}
        />
      )}
    />
  );
}

function Rows({ panel, width, height }) {
  const [frames, setFrames] = useState([]);
  useEffect(() => {
    tableFrames(panel, answers[panel.id], theme).then(setFrames);
  }, [panel]);
  if (!frames.length) {
    return <NoData />;
  }
  return <Table data={frames[0]} width={width} height={height} columnMinWidth={90} />;
}

function Words({ panel }) {
  const html = renderMarkdown(panel.options.content);
  return <div dangerouslySetInnerHTML={{ __html: html }} style={{ padding: 8 }} />;
}

function NoData() {
  return <div style={{ padding: 24, color: theme.colors.text.secondary }}>No data</div>;
}

const DRAWN_BY = { timeseries: Graph, stat: Numbers, table: Rows, text: Words };

function place({ x, y, w, h }) {
  const column = (WIDTH_PX - GAP_PX) / COLUMNS;
  return {
    position: "absolute",
    left: GAP_PX + x * column,
    top: HEAD_PX + y * ROW_PX,
    width: w * column - GAP_PX,
    height: h * ROW_PX - GAP_PX,
  };
}

function Panel({ panel }) {
  const where = place(panel.gridPos);
  if (panel.type === "row") {
    return <h5 style={{ ...where, margin: 0, lineHeight: `${where.height}px` }}>{panel.title}</h5>;
  }
  const Drawn = DRAWN_BY[panel.type];
  return (
    <div style={where}>
      <PanelChrome
        title={panel.title}
        description={panel.description}
        width={where.width}
        height={where.height}
        padding={panel.type === "timeseries" ? "md" : "sm"}
      >
        {(width, height) => <Drawn panel={panel} width={width} height={height} />}
      </PanelChrome>
    </div>
  );
}

function Dashboard() {
  const variables = dashboard.templating.list
    .filter((each) => each.type === "query")
    .map((each) => `${each.label}: ${chosen[each.name] === each.allValue ? "All" : chosen[each.name]}`);
  return (
    <ThemeContext.Provider value={theme}>
      <PanelContextProvider value={{ eventBus: new EventBusSrv(), eventsScope: "look" }}>
        <GlobalStyles />
        <h4 style={{ position: "absolute", left: 16, top: 14, margin: 0 }}>
          {dashboard.title}
          <span style={{ marginLeft: 24, fontWeight: 400, color: theme.colors.text.secondary }}>
            {variables.join("   ")}
          </span>
        </h4>
        {dashboard.panels.map((panel) => (
          <Panel key={panel.id} panel={panel} />
        ))}
      </PanelContextProvider>
    </ThemeContext.Provider>
  );
}

Object.assign(document.body.style, {
  margin: 0,
  background: theme.colors.background.canvas,
  color: theme.colors.text.primary,
  fontFamily: theme.typography.fontFamily,
  fontSize: theme.typography.body.fontSize,
});
createRoot(document.getElementById("page")).render(<Dashboard />);

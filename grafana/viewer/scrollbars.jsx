// In place of react-custom-scrollbars-2, which esbuild cannot bundle: a picture has no scrollbars.
export function Scrollbars({ children }) {
  return <div style={{ height: "100%", overflow: "hidden" }}>{children}</div>;
}
export default Scrollbars;

// Columns of numbers from a file's text.

/** What is wrong with a file, for the user. */
export class BadTable extends Error {}

/** A file of more bytes is not read. */
export const MOST_BYTES = 8 << 20;

/**
 * The names of the columns and the rows of a text with commas, semicolons or tabs between cells, with
 * header or not.
 */
export function parse(text) {
  if (text.includes("\0")) throw new BadTable("This is no text file: expected rows of numbers with commas between.");
  const lines = text.replace(/^\ufeff/, "").split(/\r\n|\n|\r/);
  const kept = lines.map((line, i) => [line, i + 1]).filter(([line]) => line.trim() !== "");
  if (kept.length === 0) throw new BadTable("The file is empty: expected rows of numbers with commas between.");
  const unquoted = kept[0][0].replace(/"[^"]*"/g, "");
  const separator = [",", ";", "\t"].find((mark) => unquoted.includes(mark)) ?? ",";
  const cells = kept.map(([line, number]) => [split(line, separator), number]);
  const first = cells[0][0];
  if (first.length < 2) {
    throw new BadTable("The file has one column, or no commas between columns: the page draws two.");
  }
  const headed = first.every((cell) => Number.isNaN(number(cell)) && !/^(nan|[-+]?inf.*)$/i.test(cell));
  const names = headed ? first.map((name, i) => name || `x${i}`) : first.map((_, i) => `x${i}`);
  const rows = cells.slice(headed ? 1 : 0).map(([row, line]) => {
    if (row.length !== names.length) {
      throw new BadTable(`Line ${line} has ${row.length} cells where the first has ${names.length}: every row wants as many.`);
    }
    return row.map((cell, i) => {
      const value = number(cell);
      if (Number.isFinite(value)) return value;
      const place = `Line ${line}, column “${names[i]}”`;
      if (cell === "") throw new BadTable(`${place}: the cell is empty; fill in or remove missing values.`);
      throw new BadTable(`${place}: “${cell.slice(0, 24)}” is no finite number; correct or remove the row.`);
    });
  });
  if (rows.length === 0) throw new BadTable("The file has a header but no rows.");
  return { names, rows };
}

/** NaN for anything but a number in digits. */
const number = (cell) => (/^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(cell) ? Number(cell) : NaN);

/** The cells of a line; a quoted one may hold the separator. */
function split(line, separator) {
  const cells = [];
  let cell = "";
  let quoted = false;
  for (const mark of line) {
    if (mark === '"') quoted = !quoted;
    else if (mark === separator && !quoted) {
      cells.push(cell.trim());
      cell = "";
    } else cell += mark;
  }
  return [...cells, cell.trim()];
}

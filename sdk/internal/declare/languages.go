package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/wasmta/wasmta/sdk/abi"
)

// parameters writes a function's parameters: in and out are two of them.
type parameters struct {
	form     string              // of one parameter: name and type
	types    map[abi.Kind]string // I32, I64, F64, OutI64 and the pointers In and Out
	length   string              // type of a length
	reserved []string            // words that no parameter can be called
}

func (p parameters) write(f abi.Function) string {
	var out []string
	one := func(name, typ string) {
		if slices.Contains(p.reserved, name) {
			name += "_"
		}
		out = append(out, strings.NewReplacer("NAME", name, "TYPE", typ).Replace(p.form))
	}
	for _, param := range f.Params {
		one(param.Name, p.types[param.Kind])
		switch param.Kind {
		case abi.In:
			one(param.Name+"_len", p.length)
		case abi.Out:
			one("cap", p.length)
		}
	}
	return strings.Join(out, ", ")
}

// comment writes a line of comment, if there is something to say.
func comment(out *bytes.Buffer, indent, mark, text string) {
	if text != "" {
		fmt.Fprintf(out, "%s%s %s\n", indent, mark, text)
	}
}

// after writes a comment behind something on the same line.
func after(mark, text string) string {
	if text == "" {
		return ""
	}
	return " " + mark + " " + text
}

func writeC(out *bytes.Buffer, s *surface) {
	prefix := map[string]string{"Errno": "MTA_ERR_", "": "MTA_", "Verdict": "MTA_", "Level": "MTA_"}
	for _, g := range s.groups {
		comment(out, "", "//", g.doc)
		out.WriteString("enum {\n")
		for _, v := range g.values {
			fmt.Fprintf(out, "\t%s%s = %d,%s\n", prefix[g.kind], v.upper(), v.n, after("//", v.doc))
		}
		out.WriteString("};\n\n")
	}
	p := parameters{
		form: "TYPENAME", length: "size_t ",
		types: map[abi.Kind]string{
			abi.I32: "int32_t ", abi.I64: "int64_t ", abi.F64: "double ",
			abi.In: "const void *", abi.Out: "void *", abi.OutI64: "int64_t *",
		},
		reserved: []string{"new"}, // in C++
	}
	results := map[abi.Kind]string{abi.None: "void", abi.I32: "int32_t", abi.I64: "int64_t"}
	for _, f := range s.functions {
		params := p.write(f)
		if params == "" {
			params = "void"
		}
		fmt.Fprintf(out, "MTA_IMPORT(%s) %s mta_raw_%s(%s);\n", f.Name, results[f.Result], f.Name, params)
	}
}

func writeRust(out *bytes.Buffer, s *surface) {
	types := map[string]string{"Errno": "Error", "Verdict": "Verdict", "Level": "Level"}
	for _, g := range s.groups {
		if t := types[g.kind]; t != "" {
			fmt.Fprintf(out, "impl crate::%s {\n", t)
			for _, v := range g.values {
				comment(out, "    ", "///", v.doc)
				name := v.upper()
				if g.kind == "Level" {
					name = strings.TrimPrefix(name, "LEVEL_")
				}
				fmt.Fprintf(out, "    pub const %s: Self = Self(%d);\n", name, v.n)
			}
			out.WriteString("}\n\n")
			continue
		}
		for _, v := range g.values {
			comment(out, "", "///", v.doc)
			fmt.Fprintf(out, "pub const %s: i32 = %d;\n", v.upper(), v.n)
		}
		out.WriteString("\n")
	}
	p := parameters{
		form: "NAME: TYPE", length: "usize",
		types: map[abi.Kind]string{
			abi.I32: "i32", abi.I64: "i64", abi.F64: "f64", abi.In: "*const u8", abi.Out: "*mut u8", abi.OutI64: "*mut i64",
		},
		reserved: []string{"in", "type"},
	}
	results := map[abi.Kind]string{abi.None: "", abi.I32: " -> i32", abi.I64: " -> i64"}
	fmt.Fprintf(out, "#[link(wasm_import_module = %q)]\nextern \"C\" {\n", abi.Module)
	for _, f := range s.functions {
		fmt.Fprintf(out, "    pub fn %s(%s)%s;\n", f.Name, p.write(f), results[f.Result])
	}
	out.WriteString("}\n")
}

func writeZig(out *bytes.Buffer, s *surface) {
	for _, g := range s.groups {
		switch g.kind {
		case "Errno":
			writeZigErrors(out, g)
			continue
		case "Verdict", "Level":
			fmt.Fprintf(out, "/// %s\npub const %s = enum(i32) {\n", g.kind+" of the host.", g.kind)
			for _, v := range g.values {
				comment(out, "    ", "///", v.doc)
				fmt.Fprintf(out, "    %s = %d,\n", zigName(strings.TrimPrefix(v.lower(), "level_")), v.n)
			}
			out.WriteString("    _,\n};\n\n")
			continue
		}
		for _, v := range g.values {
			comment(out, "", "///", v.doc)
			fmt.Fprintf(out, "pub const %s: i32 = %d;\n", v.lower(), v.n)
		}
		out.WriteString("\n")
	}
	p := parameters{
		form: "NAME: TYPE", length: "usize",
		types: map[abi.Kind]string{
			abi.I32: "i32", abi.I64: "i64", abi.F64: "f64", abi.In: "[*]const u8", abi.Out: "[*]u8", abi.OutI64: "*i64",
		},
		reserved: []string{"type"},
	}
	results := map[abi.Kind]string{abi.None: "void", abi.I32: "i32", abi.I64: "i64"}
	out.WriteString("/// The host's functions as they are: negative results are errors.\npub const raw = struct {\n")
	for _, f := range s.functions {
		fmt.Fprintf(out, "    pub extern %q fn %s(%s) %s;\n", abi.Module, f.Name, p.write(f), results[f.Result])
	}
	out.WriteString("};\n")
}

// writeZigErrors writes the error set, and the way from a result to it.
func writeZigErrors(out *bytes.Buffer, g group) {
	out.WriteString("/// What a function of the host can answer instead of a result.\npub const Error = error{\n")
	for _, v := range g.values[1:] { // without OK
		comment(out, "    ", "///", v.doc)
		fmt.Fprintf(out, "    %s,\n", v.camel())
	}
	out.WriteString("    /// A number that this SDK does not know.\n    Unknown,\n};\n\n")
	out.WriteString("fn failure(n: i64) Error {\n    return switch (n) {\n")
	for _, v := range g.values[1:] {
		fmt.Fprintf(out, "        %d => Error.%s,\n", v.n, v.camel())
	}
	out.WriteString("        else => Error.Unknown,\n    };\n}\n\n")
}

// zigName quotes what is a word of Zig's.
func zigName(s string) string {
	if slices.Contains([]string{"continue", "defer", "error"}, s) {
		return "@\"" + s + "\""
	}
	return s
}

func writeAssemblyScriptNumbers(out *bytes.Buffer, s *surface) {
	for _, g := range s.groups {
		comment(out, "", "//", g.doc)
		if g.kind == "" {
			for _, v := range g.values {
				fmt.Fprintf(out, "export const %s: i32 = %d;%s\n", v.upper(), v.n, after("//", v.doc))
			}
			out.WriteString("\n")
			continue
		}
		fmt.Fprintf(out, "export namespace %s {\n", g.kind)
		for _, v := range g.values {
			fmt.Fprintf(out, "  export const %s: i32 = %d;%s\n", strings.TrimPrefix(v.upper(), "LEVEL_"), v.n, after("//", v.doc))
		}
		out.WriteString("}\n\n")
	}
}

func writeAssemblyScript(out *bytes.Buffer, s *surface) {
	p := parameters{
		form: "NAME: TYPE", length: "usize",
		types: map[abi.Kind]string{
			abi.I32: "i32", abi.I64: "i64", abi.F64: "f64", abi.In: "usize", abi.Out: "usize", abi.OutI64: "usize",
		},
		reserved: []string{"in", "new", "type", "from"},
	}
	results := map[abi.Kind]string{abi.None: "void", abi.I32: "i32", abi.I64: "i64"}
	for _, f := range s.functions {
		fmt.Fprintf(out, "@external(%q, %q)\nexport declare function %s(%s): %s;\n", abi.Module, f.Name, f.Name, p.write(f), results[f.Result])
	}
}

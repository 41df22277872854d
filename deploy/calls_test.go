package deploy

import (
	"go/types"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"
	"golang.org/x/tools/go/ssa"
	"golang.org/x/tools/go/ssa/ssautil"
)

// source is ours, compiled as far as is needed to follow calls.
type source struct {
	root    *ssa.Package
	clients []*types.Named // the SDK's Client types that are used
}

// compile reads the source of the root package and of what it imports of ours.
func compile(t *testing.T) source {
	t.Helper()
	imported, err := packages.Load(&packages.Config{Mode: packages.NeedName | packages.NeedImports | packages.NeedDeps, Dir: ".."}, ".")
	if err != nil {
		t.Fatal(err)
	}
	var ours []string
	packages.Visit(imported, nil, func(p *packages.Package) {
		if p.PkgPath == "inreply" || strings.HasPrefix(p.PkgPath, "inreply/") {
			ours = append(ours, p.PkgPath)
		}
	})
	loaded, err := packages.Load(&packages.Config{Mode: packages.LoadSyntax, Dir: ".."}, ours...)
	if err != nil {
		t.Fatal(err)
	}
	if packages.PrintErrors(loaded) > 0 {
		t.Fatal("the source does not compile")
	}
	program, built := ssautil.Packages(loaded, ssa.InstantiateGenerics)
	program.Build()
	var s source
	for i, p := range loaded {
		if p.PkgPath == "inreply" {
			s.root = built[i]
		}
	}
	if s.root == nil {
		t.Fatal("there is no root package")
	}
	packages.Visit(loaded, nil, func(p *packages.Package) {
		if service(p.PkgPath) == "" || p.Types == nil {
			return
		}
		if client, ok := p.Types.Scope().Lookup("Client").(*types.TypeName); ok {
			s.clients = append(s.clients, client.Type().(*types.Named))
		}
	})
	return s
}

// service is the name of the AWS service whose SDK a package is, or "".
func service(path string) string {
	name, ok := strings.CutPrefix(path, "github.com/aws/aws-sdk-go-v2/service/")
	if !ok || strings.Contains(name, "/") {
		return ""
	}
	return name
}

// asked are the operations, such as sqs.ReceiveMessage, that can be reached from
// functions of the root package, named "New" or "Daemon.Run".
func (s source) asked(t *testing.T, from ...string) []string {
	t.Helper()
	w := &walk{source: s, seen: map[*ssa.Function]bool{}, types: map[types.Type]bool{}, asked: map[string]bool{}}
	for _, name := range from {
		f := s.function(name)
		if f == nil {
			t.Fatalf("package inreply has no %s", name)
		}
		w.function(f)
	}
	w.run()
	var all []string
	for operation := range w.asked {
		all = append(all, operation)
	}
	slices.Sort(all)
	return all
}

func (s source) function(name string) *ssa.Function {
	typ, method, isMethod := strings.Cut(name, ".")
	if !isMethod {
		return s.root.Func(name)
	}
	named, ok := s.root.Members[typ].(*ssa.Type)
	if !ok {
		return nil
	}
	return s.root.Prog.LookupMethod(types.NewPointer(named.Type()), s.root.Pkg, method)
}

// walk goes through the functions that may be called: those that are called or
// only mentioned, since what is mentioned may be called by anybody, and those
// that a value may be asked for through an interface. It finds too many rather
// than too few.
type walk struct {
	source
	seen    map[*ssa.Function]bool
	todo    []*ssa.Function
	types   map[types.Type]bool // that were put into an interface
	invoked []*types.Func       // methods called through one
	asked   map[string]bool
}

func (w *walk) function(f *ssa.Function) {
	if f != nil && !w.seen[f] {
		w.seen[f] = true
		w.todo = append(w.todo, f)
	}
}

func (w *walk) run() {
	for len(w.todo) > 0 {
		f := w.todo[len(w.todo)-1]
		w.todo = w.todo[:len(w.todo)-1]
		w.operation(f)
		for _, block := range f.Blocks {
			for _, instruction := range block.Instrs {
				w.instruction(instruction)
			}
		}
		for _, inner := range f.AnonFuncs {
			w.function(inner)
		}
	}
}

func (w *walk) instruction(i ssa.Instruction) {
	for _, operand := range i.Operands(nil) {
		if f, ok := (*operand).(*ssa.Function); ok {
			w.function(f)
		}
	}
	if made, ok := i.(*ssa.MakeInterface); ok && !w.types[made.X.Type()] {
		w.types[made.X.Type()] = true
		for _, method := range w.invoked {
			w.method(made.X.Type(), method)
		}
	}
	call, ok := i.(ssa.CallInstruction)
	if !ok || !call.Common().IsInvoke() {
		return
	}
	method := call.Common().Method
	w.clientsMay(call.Common().Value.Type(), method.Name())
	if slices.Contains(w.invoked, method) {
		return
	}
	w.invoked = append(w.invoked, method)
	for typ := range w.types {
		w.method(typ, method)
	}
}

// method takes a value's method in, if it has one of this name that fits.
func (w *walk) method(typ types.Type, method *types.Func) {
	selection := w.root.Prog.MethodSets.MethodSet(typ).Lookup(method.Pkg(), method.Name())
	if selection == nil || !types.Implements(typ, method.Signature().Recv().Type().Underlying().(*types.Interface)) {
		return
	}
	w.function(w.root.Prog.MethodValue(selection))
}

// clientsMay notes an operation that is asked for through an interface of ours, if
// a client of the SDK is what stands behind it.
func (w *walk) clientsMay(called types.Type, name string) {
	of, ok := called.Underlying().(*types.Interface)
	if !ok {
		return
	}
	for _, client := range w.clients {
		if types.Implements(types.NewPointer(client), of) {
			w.note(client.Obj().Pkg().Path(), name)
		}
	}
}

// operation notes one that is called by its name: a method of a Client, a
// paginator made, a link signed.
func (w *walk) operation(f *ssa.Function) {
	object, ok := f.Object().(*types.Func)
	if !ok || object.Pkg() == nil || service(object.Pkg().Path()) == "" {
		return
	}
	path, name := object.Pkg().Path(), f.Name()
	if receiver := object.Signature().Recv(); receiver == nil {
		name = strings.TrimSuffix(strings.TrimPrefix(name, "New"), "Paginator")
		if name == strings.TrimPrefix(f.Name(), "New") {
			return // makes something else
		}
	} else if name, ok = strings.CutPrefix(name, "Presign"); !ok && !strings.HasSuffix(receiver.Type().String(), ".Client") {
		return
	}
	w.note(path, name)
}

func (w *walk) note(path, name string) {
	if name != "Options" {
		w.asked[service(path)+"."+name] = true
	}
}

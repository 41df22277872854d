package sns

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// filter is a compiled filter policy: every field must match, and, with $or, one of the
// alternatives.
// https://docs.aws.amazon.com/sns/latest/dg/sns-subscription-filter-policies.html.
type filter struct {
	fields map[string][]condition // one of a field's conditions must hold
	nested map[string]*filter     // objects inside the body
	either [][]*filter            // one of each list must match
}

// condition judges one value. Absent is asked instead when the field is not there.
type condition struct {
	holds  func(value any) bool
	absent bool
}

// maxKeys is how many keys a policy may have.
const maxKeys = 5

// badPolicy is the refusal of a policy.
func badPolicy(format string, args ...any) error {
	return invalid("FilterPolicy: "+format, args...)
}

func compileFilter(policy string, body bool) (*filter, error) {
	var parsed map[string]any
	if err := json.Unmarshal([]byte(policy), &parsed); err != nil {
		return nil, badPolicy("failed to parse JSON. %s", err)
	}
	if n := countKeys(parsed); n > maxKeys {
		return nil, badPolicy("Filter policy can not have more than 5 keys")
	}
	return compileObject(parsed, body)
}

func countKeys(object map[string]any) int {
	n := 0
	for key, value := range object {
		inner, nested := value.(map[string]any)
		alternatives, list := value.([]any)
		switch {
		case nested:
			n += countKeys(inner)
		case key == "$or" && list:
			for _, alternative := range alternatives {
				if object, ok := alternative.(map[string]any); ok {
					n += countKeys(object)
				}
			}
		default:
			n++
		}
	}
	return n
}

func compileObject(object map[string]any, body bool) (*filter, error) {
	f := &filter{fields: make(map[string][]condition), nested: make(map[string]*filter)}
	for key, value := range object {
		if err := f.add(key, value, body); err != nil {
			return nil, err
		}
	}
	return f, nil
}

func (f *filter) add(key string, value any, body bool) error {
	switch v := value.(type) {
	case []any:
		if key == "$or" {
			return f.addAlternatives(v, body)
		}
		if len(v) == 0 {
			return badPolicy("Empty arrays are not allowed")
		}
		for _, rule := range v {
			c, err := compileRule(rule)
			if err != nil {
				return err
			}
			f.fields[key] = append(f.fields[key], c)
		}
		return nil
	case map[string]any:
		if !body {
			return badPolicy("Filter policy scope MessageAttributes does not support nested filter policy")
		}
		inner, err := compileObject(v, body)
		f.nested[key] = inner
		return err
	}
	return badPolicy("%q must be an object or an array", key)
}

func (f *filter) addAlternatives(list []any, body bool) error {
	var alternatives []*filter
	for _, entry := range list {
		object, ok := entry.(map[string]any)
		if !ok {
			return badPolicy(`"$or" must be an array of objects`)
		}
		alternative, err := compileObject(object, body)
		if err != nil {
			return err
		}
		alternatives = append(alternatives, alternative)
	}
	f.either = append(f.either, alternatives)
	return nil
}

func compileRule(rule any) (condition, error) {
	object, operator := rule.(map[string]any)
	if !operator {
		if _, list := rule.([]any); list {
			return condition{}, badPolicy("Match value must be String, number, true, false, or null")
		}
		return condition{holds: func(v any) bool { return v == rule }}, nil
	}
	if len(object) != 1 {
		return condition{}, badPolicy("Only one key allowed in match expression")
	}
	for name, operand := range object {
		return compileOperator(name, operand)
	}
	return condition{}, nil
}

func compileOperator(name string, operand any) (condition, error) {
	text, isText := operand.(string)
	switch name {
	case "exists":
		wanted, ok := operand.(bool)
		if !ok {
			return condition{}, badPolicy("exists match pattern must be either true or false.")
		}
		return condition{holds: func(any) bool { return wanted }, absent: !wanted}, nil
	case "anything-but":
		return compileAnythingBut(operand)
	case "numeric":
		return compileNumeric(operand)
	}
	if !isText {
		return condition{}, badPolicy("%s match pattern must be a string", name)
	}
	switch name {
	case "prefix":
		return ofString(func(s string) bool { return strings.HasPrefix(s, text) }), nil
	case "suffix":
		return ofString(func(s string) bool { return strings.HasSuffix(s, text) }), nil
	case "equals-ignore-case":
		return ofString(func(s string) bool { return strings.EqualFold(s, text) }), nil
	case "cidr":
		network, err := netip.ParsePrefix(text)
		if err != nil {
			return condition{}, badPolicy("malformed CIDR %s", text)
		}
		return ofString(func(s string) bool {
			address, err := netip.ParseAddr(s)
			return err == nil && network.Contains(address)
		}), nil
	}
	return condition{}, badPolicy("Unrecognized match type %s", name)
}

func ofString(holds func(string) bool) condition {
	return condition{holds: func(v any) bool {
		s, ok := v.(string)
		return ok && holds(s)
	}}
}

// compileAnythingBut takes a value, a list of values, or one more operator on strings.
func compileAnythingBut(operand any) (condition, error) {
	rules, list := operand.([]any)
	if !list {
		rules = []any{operand}
	}
	var excluded []condition
	for _, rule := range rules {
		c, err := compileRule(rule)
		if err != nil {
			return condition{}, err
		}
		excluded = append(excluded, c)
	}
	return condition{holds: func(v any) bool {
		for _, c := range excluded {
			if c.holds(v) {
				return false
			}
		}
		return true
	}}, nil
}

// compileNumeric takes pairs of a comparison and a number, all of which must hold.
func compileNumeric(operand any) (condition, error) {
	list, ok := operand.([]any)
	if !ok || len(list) == 0 || len(list)%2 != 0 {
		return condition{}, badPolicy("Value of numeric must be an array of comparisons and numbers")
	}
	var comparisons []func(float64) bool
	for i := 0; i < len(list); i += 2 {
		operator, _ := list[i].(string)
		bound, isNumber := list[i+1].(float64)
		if !isNumber {
			return condition{}, badPolicy("Value of %s must be numeric", operator)
		}
		compare, err := comparison(operator, bound)
		if err != nil {
			return condition{}, err
		}
		comparisons = append(comparisons, compare)
	}
	return condition{holds: func(v any) bool {
		n, isNumber := v.(float64)
		for _, holds := range comparisons {
			if !isNumber || !holds(n) {
				return false
			}
		}
		return true
	}}, nil
}

func comparison(operator string, bound float64) (func(float64) bool, error) {
	switch operator {
	case "=":
		return func(n float64) bool { return n == bound }, nil
	case "<":
		return func(n float64) bool { return n < bound }, nil
	case "<=":
		return func(n float64) bool { return n <= bound }, nil
	case ">":
		return func(n float64) bool { return n > bound }, nil
	case ">=":
		return func(n float64) bool { return n >= bound }, nil
	}
	return nil, badPolicy("Unrecognized numeric range operator: %s", operator)
}

// matchAttributes judges a message by its attributes. A String.Array counts as a list, and a
// Binary attribute only as being there.
func (f *filter) matchAttributes(attributes map[string]Attribute) bool {
	object := make(map[string]any, len(attributes))
	for name, a := range attributes {
		object[name] = attributeValue(a)
	}
	return f.match(object)
}

func attributeValue(a Attribute) any {
	switch {
	case a.Type == "String.Array":
		var list []any
		if json.Unmarshal([]byte(a.String), &list) == nil {
			return list
		}
	case strings.HasPrefix(a.Type, "Number"):
		if n, err := strconv.ParseFloat(a.String, 64); err == nil {
			return n
		}
	case a.Binary != nil:
		return a.Binary
	}
	return a.String
}

// matchBody judges a message by its text; one that is no JSON object matches nothing.
func (f *filter) matchBody(text string) bool {
	var object map[string]any
	if json.Unmarshal([]byte(text), &object) != nil {
		return false
	}
	return f.match(object)
}

func (f *filter) match(object map[string]any) bool {
	for key, conditions := range f.fields {
		value, there := object[key]
		if !anyHolds(conditions, value, there) {
			return false
		}
	}
	for key, inner := range f.nested {
		if !inner.matchNested(object[key]) {
			return false
		}
	}
	for _, alternatives := range f.either {
		if !anyMatches(alternatives, object) {
			return false
		}
	}
	return true
}

// matchNested judges an object inside the body, or a list of which one object must match.
func (f *filter) matchNested(value any) bool {
	switch v := value.(type) {
	case map[string]any:
		return f.match(v)
	case []any:
		return slices.ContainsFunc(v, f.matchNested)
	}
	return f.match(nil)
}

func anyMatches(alternatives []*filter, object map[string]any) bool {
	for _, alternative := range alternatives {
		if alternative.match(object) {
			return true
		}
	}
	return false
}

// anyHolds tells whether a field meets one of its conditions; of a list, one element must.
func anyHolds(conditions []condition, value any, there bool) bool {
	values, list := value.([]any)
	if !list {
		values = []any{value}
	}
	for _, c := range conditions {
		if there && slices.ContainsFunc(values, c.holds) || !there && c.absent {
			return true
		}
	}
	return false
}

package table

// style is how values are read that could mean two things.
type style struct {
	point    bool // numbers have a decimal point, whatever they look like: a spreadsheet wrote them
	comma    bool // 1,234 is a little more than one, and 1.234 is more than a thousand
	dayFirst bool // 3/4/2026 is in April

	numberDoubt bool // there was no telling
	dateDoubt   bool
}

// survey is what the values of a column say of their style.
type survey struct {
	points, commas, openNumbers      int // numbers that can be read with a decimal point only, with a comma only, with both
	dayFirsts, monthFirsts, openDays int // dates that can be read so only, or both ways
	dots                             int // of the dates that can be read both ways, those with dots
}

func (s *survey) see(value []byte, times int) {
	if n, _, ok := numeralOf(value); ok {
		switch {
		case !n.isComma:
			s.points += times
		case !n.isPoint:
			s.commas += times
		case n.point.float != n.comma.float:
			s.openNumbers += times
		}
		return
	}
	m, ok := momentOf(value)
	switch {
	case !ok || m.separator == 0:
	case !m.isMonthFirst:
		s.dayFirsts += times
	case !m.isDayFirst:
		s.monthFirsts += times
	case m.dayFirst != m.monthFirst:
		s.openDays += times
		if m.separator == '.' {
			s.dots += times
		}
	}
}

// decide is the style of the column: as its values say, else as the table has it.
// With dots between them the day is first wherever dots are used.
func (s survey) decide(table style) style {
	own := table
	switch {
	case table.point:
		own.comma = false
	case s.commas != s.points:
		own.comma = s.commas > s.points
	default:
		own.numberDoubt = s.openNumbers > 0
	}
	switch {
	case s.dayFirsts != s.monthFirsts:
		own.dayFirst = s.dayFirsts > s.monthFirsts
	case s.openDays > 0 && s.dots == s.openDays:
		own.dayFirst = true
	default:
		own.dateDoubt = s.openDays > 0
	}
	return own
}

// plus adds what another column says.
func (s survey) plus(o survey) survey {
	s.points += o.points
	s.commas += o.commas
	s.dayFirsts += o.dayFirsts
	s.monthFirsts += o.monthFirsts
	return s
}

// hint is the style of a table whose columns say this between them.
func (s survey) hint(table style) style {
	if s.commas != s.points && !table.point {
		table.comma = s.commas > s.points
	}
	if s.dayFirsts != s.monthFirsts {
		table.dayFirst = s.dayFirsts > s.monthFirsts
	}
	return table
}

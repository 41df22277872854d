package table

import (
	"encoding/json"
	"math"
	"math/big"
	"math/bits"
	"strconv"
)

// total is a sum that loses nothing: numbers with the same count of decimals are
// added as whole numbers of 128 bits, and only the end is rounded, if at all.
// What had to be rounded before it came here is summed up as Neumaier has it.
type total struct {
	sums    [19]wide // by the count of decimals
	used    uint32   // which of them are not empty
	rounded bool
	float   float64
	lost    float64 // what the last additions to float lost
}

// wide is a whole number of 128 bits, two's complement.
type wide struct {
	high, low uint64
}

// add adds a number n times.
func (t *total) add(a amount, n int) {
	if !a.exact {
		t.addFloat(a.float * float64(n))
		return
	}
	s := &t.sums[a.scale]
	t.used |= 1 << a.scale
	high, low := bits.Mul64(magnitude(a.coef), uint64(n)) //nolint:gosec // n counts cells
	if a.coef < 0 {
		var borrow uint64
		s.low, borrow = bits.Sub64(s.low, low, 0)
		s.high, _ = bits.Sub64(s.high, high, borrow)
		return
	}
	var carry uint64
	s.low, carry = bits.Add64(s.low, low, 0)
	s.high, _ = bits.Add64(s.high, high, carry)
}

func magnitude(n int64) uint64 {
	if n < 0 {
		return uint64(-n)
	}
	return uint64(n)
}

func (t *total) addFloat(f float64) {
	t.rounded = true
	sum := t.float + f
	if math.Abs(t.float) >= math.Abs(f) {
		t.lost += (t.float - sum) + f
	} else {
		t.lost += (f - sum) + t.float
	}
	t.float = sum
}

// exact is the sum of all that is exact, in units of 10^-18.
func (t *total) exact() *big.Int {
	sum, shifted := new(big.Int), new(big.Int)
	for scale := range t.sums {
		if t.used&(1<<scale) == 0 {
			continue
		}
		s := t.sums[scale]
		high := new(big.Int).SetInt64(int64(s.high)) //nolint:gosec // two's complement
		shifted.Add(high.Lsh(high, 64), new(big.Int).SetUint64(s.low))
		sum.Add(sum, shifted.Mul(shifted, ten(18-scale)))
	}
	return sum
}

func ten(n int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }

// value is the sum over count, with one rounding.
func (t *total) over(count int) float64 {
	r := new(big.Rat).SetFrac(t.exact(), ten(18))
	if t.rounded {
		float := t.float + t.lost
		if math.IsInf(float, 0) || math.IsNaN(float) {
			return float
		}
		r.Add(r, new(big.Rat).SetFloat64(float))
	}
	f, _ := r.Quo(r, new(big.Rat).SetInt64(int64(count))).Float64()
	return f
}

// text is the sum as a number of JSON, with all its digits.
func (t *total) text() json.Number {
	if t.rounded {
		return json.Number(strconv.FormatFloat(t.over(1), 'g', -1, 64))
	}
	sum := t.exact()
	sign := ""
	if sum.Sign() < 0 {
		sign = "-"
	}
	digits := sum.Abs(sum).String()
	for len(digits) < 19 {
		digits = "0" + digits
	}
	whole, decimals := digits[:len(digits)-18], digits[len(digits)-18:]
	end := len(decimals)
	for end > 0 && decimals[end-1] == '0' {
		end--
	}
	if end == 0 {
		return json.Number(sign + whole)
	}
	return json.Number(sign + whole + "." + decimals[:end])
}

package config

import (
	"errors"
	"math"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// maxRange bounds what range makes. The standard library's own stops at 1024,
// which is less than a fleet.
const maxRange = 100_000

// rangeFunction makes range(end), range(start, end) and range(start, end, step).
func rangeFunction() function.Function {
	return function.New(&function.Spec{
		VarParam: &function.Parameter{Name: "bounds", Type: cty.Number},
		Type:     function.StaticReturnType(cty.List(cty.Number)),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			start, end, step, err := rangeBounds(args)
			if err != nil {
				return cty.UnknownVal(cty.List(cty.Number)), err
			}
			count := math.Ceil((end - start) / step)
			if count <= 0 {
				return cty.ListValEmpty(cty.Number), nil
			}
			if !(count <= maxRange) {
				return cty.UnknownVal(cty.List(cty.Number)), errors.New("more than 100000 elements")
			}
			list := make([]cty.Value, int(count))
			for i := range list {
				list[i] = cty.NumberFloatVal(start + float64(i)*step)
			}
			return cty.ListVal(list), nil
		},
	})
}

func rangeBounds(args []cty.Value) (start, end, step float64, err error) {
	nums := make([]float64, len(args))
	for i, arg := range args {
		nums[i], _ = arg.AsBigFloat().Float64()
		if math.IsInf(nums[i], 0) {
			return 0, 0, 0, errors.New("bounds must be finite")
		}
	}
	switch len(nums) {
	case 1:
		end = nums[0]
	case 2, 3:
		start, end = nums[0], nums[1]
	default:
		return 0, 0, 0, errors.New("range takes one to three numbers")
	}
	step = 1
	if end < start {
		step = -1
	}
	if len(nums) == 3 {
		step = nums[2]
	}
	if step == 0 {
		return 0, 0, 0, errors.New("the step must not be zero")
	}
	return start, end, step, nil
}

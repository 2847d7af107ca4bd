package importer

import (
	"errors"
	"fmt"
	"strings"
)

const minutesOfDay = 24 * 60

// times is the minutes of a day in which a service is open.
type times [minutesOfDay]bool

// open adds an interval "HOUR:MINUTE-HOUR:MINUTE"; its ends are in it. As xinetd has it, the last hour is 23.
func (t *times) open(interval string) error {
	from, to, _ := strings.Cut(interval, "-")
	start, err := parseTime(from)
	if err != nil {
		return err
	}
	end, err := parseTime(to)
	if err != nil {
		return err
	}
	if start >= end {
		return errors.New("the interval ends before it begins")
	}
	for minute := start; minute <= end; minute++ {
		t[minute] = true
	}
	return nil
}

func parseTime(s string) (minute int, err error) {
	hours, minutes, _ := strings.Cut(s, ":")
	h, errHours := parseCount(hours, 24)
	m, errMinutes := parseCount(minutes, 60)
	if errHours != nil || errMinutes != nil || h > 23 || m > 59 {
		return 0, errors.New("a time is 0:00 to 23:59")
	}
	return 60*h + m, nil
}

// condition returns the whole hours as an expression, empty for all of them; none when there is no whole hour. exact says
// whether nothing else was open.
func (t *times) condition() (when string, none, exact bool) {
	exact = true
	var whole [24]bool
	for h := range whole {
		open := 0
		for _, isOpen := range t[60*h : 60*(h+1)] {
			if isOpen {
				open++
			}
		}
		whole[h] = open == 60
		exact = exact && (open == 0 || whole[h])
	}
	var ranges []string
	for h := 0; h < len(whole); h++ {
		start := h
		for h < len(whole) && whole[h] {
			h++
		}
		switch {
		case start == h:
		case start == 0 && h == len(whole):
			return "", false, exact
		default:
			ranges = append(ranges, hourRange(start, h))
		}
	}
	return strings.Join(ranges, " || "), len(ranges) == 0, exact
}

// hourRange says that the hour is at least start and less than end.
func hourRange(start, end int) string {
	switch {
	case start == 0:
		return fmt.Sprintf("hour < %d", end)
	case end == 24:
		return fmt.Sprintf("hour >= %d", start)
	}
	return fmt.Sprintf("hour >= %d && hour < %d", start, end)
}

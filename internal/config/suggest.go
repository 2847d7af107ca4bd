package config

import "fmt"

// didYouMean returns a sentence with the name nearest to what was given, or nothing when none is near.
func didYouMean(given string, names []string) string {
	const near = 2 // changed, added or missing characters
	best, nearest := near+1, ""
	for _, name := range names {
		if d := distance(given, name); d < best && d < len(given) {
			best, nearest = d, name
		}
	}
	if nearest == "" {
		return ""
	}
	return fmt.Sprintf(" Did you mean %q?", nearest)
}

// distance counts the bytes to change, add or take away to make a into b (Levenshtein). Beyond 255 bytes it does not look.
func distance(a, b string) int {
	const tooLong = 255
	if len(a) > tooLong || len(b) > tooLong {
		return tooLong
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

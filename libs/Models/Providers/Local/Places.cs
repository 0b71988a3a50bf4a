using System.Collections.Frozen;

namespace MultiAgent.Models.Providers.Local;

/// <summary>Well-known places and their time zones, by folded name.</summary>
internal static class Places
{
    private static readonly FrozenDictionary<string, string> s_zones = new Dictionary<string, string>
    {
        ["hanoi"] = "Asia/Ho_Chi_Minh", ["ha noi"] = "Asia/Ho_Chi_Minh", ["hue"] = "Asia/Ho_Chi_Minh", ["da nang"] = "Asia/Ho_Chi_Minh", ["danang"] = "Asia/Ho_Chi_Minh",
        ["ho chi minh city"] = "Asia/Ho_Chi_Minh", ["ho chi minh"] = "Asia/Ho_Chi_Minh", ["saigon"] = "Asia/Ho_Chi_Minh", ["sai gon"] = "Asia/Ho_Chi_Minh",
        ["can tho"] = "Asia/Ho_Chi_Minh", ["da lat"] = "Asia/Ho_Chi_Minh", ["vietnam"] = "Asia/Ho_Chi_Minh", ["viet nam"] = "Asia/Ho_Chi_Minh",
        ["tokyo"] = "Asia/Tokyo", ["osaka"] = "Asia/Tokyo", ["japan"] = "Asia/Tokyo", ["nhat ban"] = "Asia/Tokyo", ["seoul"] = "Asia/Seoul",
        ["beijing"] = "Asia/Shanghai", ["shanghai"] = "Asia/Shanghai", ["hong kong"] = "Asia/Hong_Kong", ["taipei"] = "Asia/Taipei", ["singapore"] = "Asia/Singapore",
        ["bangkok"] = "Asia/Bangkok", ["jakarta"] = "Asia/Jakarta", ["manila"] = "Asia/Manila", ["kuala lumpur"] = "Asia/Kuala_Lumpur", ["delhi"] = "Asia/Kolkata",
        ["mumbai"] = "Asia/Kolkata", ["india"] = "Asia/Kolkata", ["dubai"] = "Asia/Dubai", ["tel aviv"] = "Asia/Jerusalem", ["istanbul"] = "Europe/Istanbul",
        ["moscow"] = "Europe/Moscow", ["london"] = "Europe/London", ["paris"] = "Europe/Paris", ["berlin"] = "Europe/Berlin", ["munich"] = "Europe/Berlin",
        ["madrid"] = "Europe/Madrid", ["barcelona"] = "Europe/Madrid", ["rome"] = "Europe/Rome", ["milan"] = "Europe/Rome", ["amsterdam"] = "Europe/Amsterdam",
        ["brussels"] = "Europe/Brussels", ["vienna"] = "Europe/Vienna", ["zurich"] = "Europe/Zurich", ["stockholm"] = "Europe/Stockholm", ["oslo"] = "Europe/Oslo",
        ["copenhagen"] = "Europe/Copenhagen", ["helsinki"] = "Europe/Helsinki", ["warsaw"] = "Europe/Warsaw", ["prague"] = "Europe/Prague", ["lisbon"] = "Europe/Lisbon",
        ["dublin"] = "Europe/Dublin", ["athens"] = "Europe/Athens", ["new york"] = "America/New_York", ["boston"] = "America/New_York", ["washington"] = "America/New_York",
        ["toronto"] = "America/Toronto", ["chicago"] = "America/Chicago", ["denver"] = "America/Denver", ["los angeles"] = "America/Los_Angeles",
        ["san francisco"] = "America/Los_Angeles", ["seattle"] = "America/Los_Angeles", ["mexico city"] = "America/Mexico_City", ["sao paulo"] = "America/Sao_Paulo",
        ["buenos aires"] = "America/Argentina/Buenos_Aires", ["sydney"] = "Australia/Sydney", ["melbourne"] = "Australia/Melbourne", ["auckland"] = "Pacific/Auckland",
        ["cairo"] = "Africa/Cairo", ["lagos"] = "Africa/Lagos", ["nairobi"] = "Africa/Nairobi", ["johannesburg"] = "Africa/Johannesburg",
    }.ToFrozenDictionary();

    private static readonly string[] s_longestFirst = [.. s_zones.Keys.OrderByDescending(k => k.Length).ThenBy(k => k, StringComparer.Ordinal)];

    /// <summary>The first well-known place that a text names, as written there, with its time zone.</summary>
    public static (string Name, string Zone)? Find(string text)
    {
        string folded = LocalText.Fold(text);
        (string Name, string Zone)? first = null;
        int at = int.MaxValue;
        foreach (string place in s_longestFirst)
        {
            int index = folded.IndexOf(place, StringComparison.Ordinal);
            if (index < 0 || index >= at) continue;
            int end = index + place.Length;
            if ((index > 0 && char.IsLetterOrDigit(folded[index - 1])) || (end < folded.Length && char.IsLetterOrDigit(folded[end]))) continue;
            // The same folded letters in lower case are words of the language: "hue" is also a colour.
            if (place.Length <= 3 && !char.IsUpper(text[index])) continue;
            at = index;
            first = (text[index..end], s_zones[place]);
        }
        return first;
    }
}

using System.Text.Json;

namespace MultiAgent.Models.Providers.Local;

/// <summary>
/// Looks in a text for the values that a schema's properties ask for, by the property's name and shape. Quoted texts and
/// numbers are used up in their order, so that two properties do not get the same one.
/// </summary>
internal sealed class Evidence(string text, string? freeText)
{
    private readonly Queue<string> _quoted = new(Patterns.QuotedTexts(text));
    private readonly List<(int Position, decimal Value)> _numbers = [.. Patterns.Numbers(text)];
    private readonly string _folded = LocalText.Fold(text);

    /// <summary>What a required text is filled with when nothing fits better.</summary>
    public string FreeText { get; } = freeText ?? text.Trim();

    public string? Text(string name, string? format)
    {
        HashSet<string> words = NameWords(name);
        if (format is "uri" or "url" || Has(words, "url", "uri", "link", "href", "website")) return Patterns.First(Patterns.Url, text);
        if (format == "email" || Has(words, "email", "mail")) return Patterns.First(Patterns.Email, text);
        if (format == "date-time") return Patterns.First(Patterns.DateTime, text);
        if (format == "uuid") return Patterns.First(Patterns.Uuid, text);
        if (format == "date" || Has(words, "date", "day", "ngay")) return Patterns.First(Patterns.Date, text);
        if (format is not null) return null;
        if (Has(words, "expression", "formula", "calculation", "equation")) return Patterns.Arithmetic(text);
        if (Has(words, "timezone", "tz", "zone")) return Patterns.First(Patterns.TimeZone, text) ?? Places.Find(text)?.Zone;
        if (Has(words, "city", "location", "place", "address", "country", "town", "destination", "origin")) return Place();
        if (_quoted.TryDequeue(out string? quoted)) return quoted;
        if (Has(words, "query", "question", "search", "keyword", "topic", "prompt", "input", "q")) return Topic();
        if (Has(words, "message", "body", "content", "text", "note", "comment")) return AfterColon();
        if (Has(words, "path", "file", "filename", "directory")) return Patterns.First(Patterns.Path, text);
        if (Has(words, "id", "code", "number", "order", "ticket", "sku", "invoice")) return Patterns.First(Patterns.Code, text);
        if (Has(words, "name", "title", "person", "user", "customer", "company", "author", "recipient")) return Name();
        return null;
    }

    /// <summary>The allowed value whose words all occur in the text; the one that occurs first.</summary>
    public JsonElement? Allowed(JsonElement values)
    {
        JsonElement? best = null;
        int at = int.MaxValue;
        foreach (JsonElement value in values.Items())
        {
            string word = value.ValueKind == JsonValueKind.String ? value.GetString()! : value.GetRawText();
            int index = _folded.IndexOf(LocalText.Fold(word).Replace('_', ' '), StringComparison.Ordinal);
            if (word.Length == 0 || index < 0 || index >= at) continue;
            at = index;
            best = value;
        }
        return best;
    }

    /// <summary>The number next to the property's name, else the next one not yet used.</summary>
    public decimal? Number(string name, bool whole)
    {
        List<(int Position, decimal Value)> fitting = whole ? _numbers.FindAll(n => n.Value == decimal.Truncate(n.Value)) : _numbers;
        if (fitting.Count == 0) return null;
        int named = NameWords(name).Where(w => w.Length > 2).Select(w => _folded.IndexOf(w, StringComparison.Ordinal)).Where(i => i >= 0).DefaultIfEmpty(-1).Min();
        (int Position, decimal Value) chosen = named < 0 ? fitting[0] : fitting.MinBy(n => Math.Abs(n.Position - named));
        _numbers.Remove(chosen);
        return chosen.Value;
    }

    /// <summary>True when the text names the property, false when it names and denies it, null when it does not name it.</summary>
    public bool? Flag(string name)
    {
        int named = NameWords(name).Where(w => w.Length > 2).Select(w => _folded.IndexOf(w, StringComparison.Ordinal)).Where(i => i >= 0).DefaultIfEmpty(-1).Min();
        if (named < 0) return null;
        string before = _folded[Math.Max(0, named - 15)..named];
        return !(before.Contains("not ") || before.Contains("no ") || before.Contains("n't") || before.Contains("without") || before.Contains("khong"));
    }

    /// <summary>Up to <paramref name="count"/> different words that carry meaning, for lists of texts.</summary>
    public IEnumerable<string> Keywords(int count) =>
        Patterns.QuotedTexts(text).Concat(text.Split([' ', '\n', '\t', ',', '.', ';', ':', '?', '!', '(', ')', '"'], StringSplitOptions.RemoveEmptyEntries)
            .Where(w => w.Length > 3 && LocalText.ContentWords(w).Any())).Distinct(StringComparer.OrdinalIgnoreCase).Take(count);

    private string? Place()
    {
        if (Places.Find(text) is { } known) return known.Name;
        return Patterns.AfterPreposition.Match(text) is { Success: true } match ? match.Groups[1].Value : null;
    }

    private string Topic()
    {
        string topic = text.Trim().TrimEnd('?', '.', '!');
        string folded = LocalText.Fold(topic);
        foreach (string lead in s_leads)
        {
            if (!folded.StartsWith(lead, StringComparison.Ordinal)) continue;
            topic = topic[lead.Length..];
            folded = folded[lead.Length..];
        }
        return topic.Length > 0 ? topic : text.Trim();
    }

    private string? AfterColon()
    {
        int colon = text.IndexOf(": ", StringComparison.Ordinal);
        return colon >= 0 && colon + 2 < text.Length ? text[(colon + 2)..].Trim() : null;
    }

    private string? Name()
    {
        int colon = text.IndexOf(": ", StringComparison.Ordinal);
        string where = colon >= 0 ? text[(colon + 2)..] : text;
        List<string> names = [.. Patterns.Capitalised.Matches(where).Where(m => m.Index > 0 || colon >= 0).Select(m => m.Value)];
        return names.Count > 0 ? names[0] : null;
    }

    private static bool Has(HashSet<string> words, params ReadOnlySpan<string> any)
    {
        foreach (string word in any)
            if (words.Contains(word)) return true;
        return false;
    }

    /// <summary>The folded parts of a name: <c>orderId</c>, <c>order_id</c> and <c>order-id</c> are all order and id.</summary>
    public static HashSet<string> NameWords(string name)
    {
        var spaced = new System.Text.StringBuilder();
        for (int i = 0; i < name.Length; i++)
        {
            if (i > 0 && char.IsUpper(name[i]) && char.IsLower(name[i - 1])) spaced.Append(' ');
            spaced.Append(char.IsLetterOrDigit(name[i]) ? name[i] : ' ');
        }
        HashSet<string> words = [.. LocalText.Fold(spaced.ToString()).Split(' ', StringSplitOptions.RemoveEmptyEntries)];
        if (words.Contains("time") && words.Contains("zone")) words.Add("timezone");
        return words;
    }

    // In the order in which they are taken off: politeness, verb, preposition.
    private static readonly string[] s_leads =
    [
        "please ", "can you ", "could you ", "xin ", "hay ", "search ", "find ", "look up ", "google ", "tim kiem ", "tim ", "tra cuu ",
        "the web ", "the internet ", "the docs ", "for ", "about ", "ve ",
    ];
}

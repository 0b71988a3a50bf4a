namespace MultiAgent.Models.Providers.Local;

/// <summary>Finds the sentences of the conversation that say most about a question.</summary>
internal static class LocalExtractor
{
    private const int MaxSentences = 4000;
    private const int MaxQuoted = 3;

    /// <summary>The answer in the words of the sources, or null when they hold nothing about the question.</summary>
    public static string? Answer(string question, IEnumerable<LocalMessage> sources)
    {
        (string query, string context) = SplitQuestion(question);
        List<Candidate> candidates = Candidates(sources.Append(new LocalMessage("user", context)));
        if (candidates.Count == 0) return null;
        HashSet<string> terms = [.. LocalText.ContentWords(query)];
        if (AsksForSummary(terms)) return Join(Central(candidates));
        return terms.Count == 0 ? null : Join(Best(candidates, terms));
    }

    private static List<Candidate> Best(List<Candidate> candidates, HashSet<string> terms)
    {
        Dictionary<string, double> weights = Weights(candidates);
        int needed = Math.Max(1, (int)Math.Ceiling(terms.Count * 0.3));
        foreach (Candidate candidate in candidates)
        {
            int shared = 0;
            double score = 0;
            foreach (string term in terms)
            {
                if (!candidate.Words.Contains(term)) continue;
                shared++;
                score += weights[term];
            }
            bool saysMore = candidate.Words.Count > shared;
            // Long sentences hold more words by chance; the root keeps them from winning by length alone.
            candidate.Score = shared >= needed && saysMore ? candidate.Trust * score / Math.Sqrt(Math.Sqrt(candidate.Words.Count)) : 0;
        }
        double best = candidates.Max(c => c.Score);
        return best == 0 ? [] : Top(candidates, best * 0.75);
    }

    /// <summary>For a summary: the sentences that share most with the others.</summary>
    private static List<Candidate> Central(List<Candidate> candidates)
    {
        var counts = new Dictionary<string, int>();
        foreach (string word in candidates.SelectMany(c => c.Words)) counts[word] = counts.GetValueOrDefault(word) + 1;
        foreach (Candidate candidate in candidates) candidate.Score = candidate.Trust * candidate.Words.Sum(w => counts[w] - 1) / (candidate.Words.Count + 3.0) + 0.001;
        return Top(candidates, 0);
    }

    private static List<Candidate> Top(List<Candidate> candidates, double atLeast) =>
        [.. candidates.Where(c => c.Score > 0 && c.Score >= atLeast).OrderByDescending(c => c.Score).ThenBy(c => c.Position).DistinctBy(c => c.Text).Take(MaxQuoted).OrderBy(c => c.Position)];

    private static string? Join(List<Candidate> chosen) => chosen.Count == 0 ? null : string.Join(" ", chosen.Select(c => c.Text));

    private static List<Candidate> Candidates(IEnumerable<LocalMessage> sources)
    {
        var candidates = new List<Candidate>();
        foreach (LocalMessage source in sources)
        {
            double trust = source.Role switch { "assistant" => 0.8, "user" => 0.95, _ => 1.0 };
            foreach (string sentence in LocalText.Sentences(source.Text))
            {
                HashSet<string> words = [.. LocalText.ContentWords(sentence)];
                bool isQuestion = sentence[^1] is '?' or '？';
                if (words.Count < 2 || isQuestion || IsInstruction(sentence) || LocalReplyTexts.IsOwn(sentence)) continue;
                candidates.Add(new Candidate(sentence.TrimStart('-', '*', '•', '#', '>', ' '), words, trust, candidates.Count));
            }
        }
        // The latest say most about where the conversation is now.
        return candidates.Count <= MaxSentences ? candidates : candidates[^MaxSentences..];
    }

    /// <summary>A long last message may hold the passages itself: the question is then its last question, or its last line.</summary>
    private static (string Query, string Context) SplitQuestion(string text)
    {
        List<string> sentences = [.. LocalText.Sentences(text)];
        if (sentences.Count < 2) return (text, "");
        int asked = sentences.FindLastIndex(s => s[^1] is '?' or '？');
        if (asked < 0 && sentences.Count <= 3) return (text, "");
        if (asked < 0) asked = AsksForSummary([.. LocalText.ContentWords(sentences[0])]) ? 0 : sentences.Count - 1;
        return (sentences[asked], string.Join('\n', sentences.Where((_, i) => i != asked)));
    }

    private static Dictionary<string, double> Weights(List<Candidate> candidates)
    {
        var found = new Dictionary<string, double>();
        foreach (string word in candidates.SelectMany(c => c.Words)) found[word] = found.GetValueOrDefault(word) + 1;
        foreach (string word in found.Keys) found[word] = Math.Log(1 + candidates.Count / found[word]);
        return found;
    }

    private static bool AsksForSummary(HashSet<string> terms) =>
        terms.Any(t => t.StartsWith("summar", StringComparison.Ordinal) || t is "tldr") || (terms.Contains("tom") && terms.Contains("tat"));

    private static bool IsInstruction(string sentence)
    {
        string folded = LocalText.Fold(sentence);
        foreach (string start in s_instructions)
            if (folded.StartsWith(start, StringComparison.Ordinal)) return true;
        return false;
    }

    private static readonly string[] s_instructions =
    [
        "you are ", "you must ", "you should ", "you will ", "you can ", "your ", "always ", "never ", "do not ", "don't ", "answer ", "respond ", "reply ", "use the ", "use only ",
        "if you ", "when the user ", "please ", "context:", "question:", "ban la ", "ban phai ", "ban se ", "hay ", "khong duoc ", "luon ", "tra loi ",
    ];

    private sealed class Candidate(string text, HashSet<string> words, double trust, int position)
    {
        public string Text { get; } = text;
        public HashSet<string> Words { get; } = words;
        public double Trust { get; } = trust;
        public int Position { get; } = position;
        public double Score { get; set; }
    }
}

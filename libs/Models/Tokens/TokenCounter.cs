using Microsoft.ML.Tokenizers;

namespace MultiAgent.Models.Tokens;

/// <summary>
/// Counts tokens where a provider reports none, and for trimming contexts. Exact for OpenAI's models up to
/// <see cref="ExactLimit"/> characters; for other vendors' models <c>o200k_base</c> is an approximation. Thread-safe; the
/// vocabularies are loaded on first use.
/// </summary>
public static class TokenCounter
{
    /// <summary>Texts of more characters are sampled: 64 pieces, evenly spread, are counted and the sum is scaled up.</summary>
    public const int ExactLimit = 200_000;

    // The tokenizer's time grows with the square of the longest word, and a word may be the whole text. Pieces of this
    // size bound it; they end before a space where there is one, which is where tokens end as well.
    private const int PieceLength = 1024;
    private const int SamplePieces = 64;

    private static readonly Lazy<TiktokenTokenizer> s_o200k = new(() => TiktokenTokenizer.CreateForEncoding("o200k_base"));
    private static readonly Lazy<TiktokenTokenizer> s_cl100k = new(() => TiktokenTokenizer.CreateForEncoding("cl100k_base"));

    /// <summary>Tokens of a text.</summary>
    /// <param name="text">Any text, untrusted.</param>
    /// <param name="model">A model's name, with or without provider; chooses the vocabulary.</param>
    public static int Count(ReadOnlySpan<char> text, string model)
    {
        if (text.IsEmpty) return 0;
        TiktokenTokenizer tokenizer = TokenizerFor(model);
        return text.Length <= ExactLimit ? CountPieces(tokenizer, text) : CountSample(tokenizer, text);
    }

    /// <summary>Tokens of a text.</summary>
    public static int Count(string text, string model) => Count(text.AsSpan(), model);

    /// <summary>Tokens of a chat request, with what the format adds per message. An estimate: how tools and images count is not published for most models.</summary>
    /// <param name="openAiBody">The request in the OpenAI dialect; of what is malformed, the length is taken.</param>
    /// <param name="model">A model's name, with or without provider.</param>
    public static int CountChatRequest(ReadOnlySpan<byte> openAiBody, string model) => RequestTokens.CountChat(openAiBody, model);

    /// <summary>Tokens of the <c>input</c> of an embeddings request: text is counted, token arrays have their length.</summary>
    /// <param name="openAiBody">The request in the OpenAI dialect.</param>
    /// <param name="model">A model's name, with or without provider.</param>
    public static int CountEmbeddingsRequest(ReadOnlySpan<byte> openAiBody, string model) => RequestTokens.CountEmbeddings(openAiBody, model);

    /// <summary>The longest start of a text that has at most <paramref name="maxTokens"/> tokens; counts its tokens on the way.</summary>
    public static string Truncate(string text, int maxTokens, string model, out int tokens)
    {
        TiktokenTokenizer tokenizer = TokenizerFor(model);
        tokens = 0;
        int position = 0;
        while (position < text.Length)
        {
            ReadOnlySpan<char> piece = NextPiece(text.AsSpan(position));
            int count = tokenizer.CountTokens(piece);
            if (tokens + count > maxTokens)
            {
                if (maxTokens <= tokens) return text[..position];
                int index = tokenizer.GetIndexByTokenCount(piece, maxTokens - tokens, out _, out int fitting);
                tokens += fitting;
                // A token may be part of a character; half a surrogate pair is no text.
                int end = position + index;
                if (end > 0 && end < text.Length && char.IsHighSurrogate(text[end - 1])) end--;
                return text[..end];
            }
            tokens += count;
            position += piece.Length;
        }
        return text;
    }

    /// <summary>The text of token ids as clients send them to embeddings; null when an id is not in the vocabulary.</summary>
    internal static string? Decode(IReadOnlyList<int> tokens)
    {
        // Clients that tokenize themselves do it for OpenAI's embedding models, which use this vocabulary.
        try
        {
            return s_cl100k.Value.Decode(tokens);
        }
        catch (Exception e) when (e is ArgumentException or KeyNotFoundException or IndexOutOfRangeException or InvalidOperationException)
        {
            return null;
        }
    }

    private static int CountPieces(TiktokenTokenizer tokenizer, ReadOnlySpan<char> text)
    {
        int count = 0;
        while (!text.IsEmpty)
        {
            ReadOnlySpan<char> piece = NextPiece(text);
            count += tokenizer.CountTokens(piece);
            text = text[piece.Length..];
        }
        return count;
    }

    private static int CountSample(TiktokenTokenizer tokenizer, ReadOnlySpan<char> text)
    {
        long counted = 0, characters = 0;
        for (int i = 0; i < SamplePieces; i++)
        {
            int start = (int)((long)i * (text.Length - PieceLength) / (SamplePieces - 1));
            counted += tokenizer.CountTokens(text.Slice(start, PieceLength));
            characters += PieceLength;
        }
        return (int)Math.Min(int.MaxValue, counted * text.Length / characters);
    }

    private static ReadOnlySpan<char> NextPiece(ReadOnlySpan<char> text)
    {
        if (text.Length <= PieceLength) return text;
        // A space between a word and a letter belongs to the token that follows it.
        for (int i = PieceLength; i > PieceLength / 2; i--)
            if (text[i] == ' ' && !char.IsWhiteSpace(text[i - 1]) && i + 1 < text.Length && char.IsLetter(text[i + 1])) return text[..i];
        return text[..(char.IsHighSurrogate(text[PieceLength - 1]) ? PieceLength - 1 : PieceLength)];
    }

    private static TiktokenTokenizer TokenizerFor(string model)
    {
        ReadOnlySpan<char> name = model.AsSpan(model.LastIndexOf('/') + 1);
        bool old = name.StartsWith("gpt-3.5", StringComparison.OrdinalIgnoreCase)
            || name.StartsWith("gpt-35", StringComparison.OrdinalIgnoreCase)
            || name.StartsWith("text-embedding", StringComparison.OrdinalIgnoreCase)
            || name.Equals("gpt-4", StringComparison.OrdinalIgnoreCase)
            || name.StartsWith("gpt-4-", StringComparison.OrdinalIgnoreCase);
        return (old ? s_cl100k : s_o200k).Value;
    }
}

namespace MultiAgent.Models.Providers.Local;

/// <summary>What the local model says in its own words, in the language of the question.</summary>
internal static class LocalReplyTexts
{
    private const string SelfEnglish = "I am the local model: a deterministic responder that comes with the platform and has no language model behind it.";
    private const string SelfVietnamese = "Tôi là mô hình local: một bộ trả lời tất định đi kèm nền tảng, không có mô hình ngôn ngữ nào phía sau.";
    private const string AbleEnglish = "I quote what the conversation and the given passages say, and I call the tools that I am given.";
    private const string AbleVietnamese = "Tôi trích lại những gì cuộc trò chuyện và các đoạn văn được cung cấp đã nói, và gọi các công cụ được giao.";
    private const string NothingEnglish = "I found nothing there that answers this; configure a provider such as OpenAI or Anthropic for answers of its own.";
    private const string NothingVietnamese = "Tôi không tìm thấy gì ở đó trả lời câu này; hãy cấu hình một nhà cung cấp như OpenAI hoặc Anthropic để có câu trả lời đầy đủ.";

    public static string WhoIAm(bool vietnamese) => vietnamese ? $"{SelfVietnamese} {AbleVietnamese}" : $"{SelfEnglish} {AbleEnglish}";

    public static string NothingFound(bool vietnamese) => vietnamese ? $"{SelfVietnamese} {AbleVietnamese} {NothingVietnamese}" : $"{SelfEnglish} {AbleEnglish} {NothingEnglish}";

    public static string Result(string tool, string value, bool vietnamese) => vietnamese ? $"Kết quả của {tool} là {value}" : $"The result of {tool} is {value}";

    public static string Failed(string tool, string value, bool vietnamese) => vietnamese ? $"{tool} gặp lỗi: {value}" : $"{tool} failed: {value}";

    /// <summary>A sentence that this model said about itself, which is no source for an answer.</summary>
    public static bool IsOwn(string sentence) =>
        sentence is SelfEnglish or SelfVietnamese or AbleEnglish or AbleVietnamese or NothingEnglish or NothingVietnamese;

    public static bool AsksWhoIAm(string question)
    {
        string folded = LocalText.Fold(question);
        return folded.Length < 200 && s_whoAreYou.Any(folded.Contains);
    }

    private static readonly string[] s_whoAreYou =
    [
        "who are you", "what are you", "what model", "which model", "are you gpt", "are you claude", "are you chatgpt", "are you an ai", "are you a bot",
        "ban la ai", "ban la gi", "mo hinh nao", "mo hinh gi",
    ];
}

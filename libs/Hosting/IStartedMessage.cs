namespace MultiAgent.Hosting;

/// <summary>What a person reads on the console once the server listens.</summary>
public interface IStartedMessage
{
    /// <param name="url">The first address that the server listens on.</param>
    /// <param name="output">The console.</param>
    void Write(string url, TextWriter output);
}

/// What pages of browser tests have in common.
enum PageScript {
  /// `append(buffer, url)`: fetches a segment into a SourceBuffer and waits until it is there.
  static let append = """
    async function append(buffer, url) {
      const answer = await fetch(url);
      if (!answer.ok) throw new Error(url + ": " + answer.status);
      const data = await answer.arrayBuffer();
      await new Promise((done, fail) => {
        buffer.onupdateend = done;
        buffer.onerror = () => fail(new Error("append " + url));
        buffer.appendBuffer(data);
      });
    }
    """
}
